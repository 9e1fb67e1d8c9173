def _mt_make_heapq():
    def down(heap, start, at):
        item = heap[at]
        while at > start:
            parent = (at - 1) >> 1
            if not _mt_less(item, heap[parent]):
                break
            heap[at] = heap[parent]
            at = parent
        heap[at] = item

    def up(heap, at):
        end = len(heap)
        start = at
        item = heap[at]
        child = 2 * at + 1
        while child < end:
            right = child + 1
            if right < end and not _mt_less(heap[child], heap[right]):
                child = right
            heap[at] = heap[child]
            at = child
            child = 2 * at + 1
        heap[at] = item
        down(heap, start, at)

    def heappush(heap, item):
        heap.append(item)
        down(heap, 0, len(heap) - 1)

    def heappop(heap):
        last = heap.pop()
        if heap:
            out = heap[0]
            heap[0] = last
            up(heap, 0)
            return out
        return last

    def heapify(heap):
        for i in range(len(heap) // 2 - 1, -1, -1):
            up(heap, i)

    def heapreplace(heap, item):
        out = heap[0]
        heap[0] = item
        up(heap, 0)
        return out

    def heappushpop(heap, item):
        if heap and _mt_less(heap[0], item):
            item, heap[0] = heap[0], item
            up(heap, 0)
        return item

    def nsmallest(n, items, key=None):
        return _mt_sorted(items, key=key)[:max(n, 0)]

    def nlargest(n, items, key=None):
        return _mt_sorted(items, key=key, reverse=True)[:max(n, 0)]

    def merge(*iterables, key=None, reverse=False):
        out = []
        for items in iterables:
            out.extend(items)
        return iter(_mt_sorted(out, key=key, reverse=reverse))
    return _mt_Module('heapq', {
        'heappush': heappush, 'heappop': heappop, 'heapify': heapify, 'heapreplace': heapreplace,
        'heappushpop': heappushpop, 'nsmallest': nsmallest, 'nlargest': nlargest, 'merge': merge})


_mt_mod_heapq = _mt_make_heapq()
