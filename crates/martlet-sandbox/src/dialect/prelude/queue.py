def _mt_make_queue():
    Empty = _mt_class((Exception,), ())(type('Empty', (), {}))
    Full = _mt_class((Exception,), ())(type('Full', (), {}))

    class Base:
        def __init__(self, maxsize=0):
            self.maxsize = maxsize
            self.queue = []

        def put(self, item, block=True, timeout=None):
            if 0 < self.maxsize <= len(self.queue):
                raise _mt_raise(Full())
            self.add(item)

        def get(self, block=True, timeout=None):
            if not self.queue:
                raise _mt_raise(Empty())
            return self.take()

        def put_nowait(self, item):
            self.put(item)

        def get_nowait(self):
            return self.get()

        def empty(self):
            return not self.queue

        def full(self):
            return 0 < self.maxsize <= len(self.queue)

        def qsize(self):
            return len(self.queue)

        def task_done(self):
            pass

        def join(self):
            pass

    names = ('__init__', 'put', 'get', 'put_nowait', 'get_nowait', 'empty', 'full', 'qsize', 'task_done', 'join')

    class Queue:
        def add(self, item):
            self.queue.append(item)

        def take(self):
            return self.queue.pop(0)

    class LifoQueue:
        def add(self, item):
            self.queue.append(item)

        def take(self):
            return self.queue.pop()

    class PriorityQueue:
        def add(self, item):
            _mt_mod_heapq.heappush(self.queue, item)

        def take(self):
            return _mt_mod_heapq.heappop(self.queue)

    out = {'Empty': Empty, 'Full': Full}
    for cls in (Queue, LifoQueue, PriorityQueue):
        out[cls.__name__] = _mt_class(((Base, names),), ('add', 'take'))(cls)
    out['SimpleQueue'] = out['Queue']
    return _mt_Module('queue', out)


_mt_mod_queue = _mt_make_queue()
