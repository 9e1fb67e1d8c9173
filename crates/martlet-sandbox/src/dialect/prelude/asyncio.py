def _mt_make_asyncio():
    import asyncio

    def create_task(x, *, name=None, context=None):
        return _mt_awaitable(x)

    def ensure_future(x, **options):
        return _mt_awaitable(x)

    def shield(x):
        return _mt_awaitable(x)

    def wait_for(x, timeout=None):
        return _mt_awaitable(x)

    def as_completed(items, **options):
        return [_mt_awaitable(x) for x in items]

    async def wait(items, **options):
        items = list(items)
        results = await asyncio.gather(*[_mt_awaitable(x) for x in items])
        return ([Done(r) for r in results], [])

    async def to_thread(function, *args, **kwargs):
        return function(*args, **kwargs)

    class Done:
        def __init__(self, value):
            self.value = value

        def result(self):
            return self.value

        def done(self):
            return True

        def exception(self):
            return None

    class Semaphore:
        def __init__(self, value=1):
            self.value = value

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        async def acquire(self):
            return True

        def release(self):
            pass

        def locked(self):
            return False

    class Event:
        def __init__(self):
            self.flag = False

        def set(self):
            self.flag = True

        def clear(self):
            self.flag = False

        def is_set(self):
            return self.flag

    class Queue:
        def __init__(self, maxsize=0):
            self.items = []

        async def put(self, x):
            self.items.append(x)

        def put_nowait(self, x):
            self.items.append(x)

        async def get(self):
            return self.items.pop(0)

        def get_nowait(self):
            return self.items.pop(0)

        def empty(self):
            return not self.items

        def qsize(self):
            return len(self.items)

        def task_done(self):
            pass

    class Loop:
        def run_until_complete(self, x):
            async def main():
                return await _mt_awaitable(x)
            return asyncio.run(main())

        def create_task(self, x):
            return _mt_awaitable(x)

        def is_running(self):
            return True

        def close(self):
            pass

    def get_event_loop():
        return Loop()

    def timeout(delay):
        return Semaphore()

    def iscoroutine(x):
        return 'coroutine' in repr(type(x))

    def iscoroutinefunction(x):
        return False
    return _mt_Module('asyncio', {
        'create_task': create_task, 'ensure_future': ensure_future, 'shield': shield, 'wait_for': wait_for,
        'as_completed': as_completed, 'wait': wait, 'to_thread': to_thread, 'Semaphore': Semaphore,
        'BoundedSemaphore': Semaphore, 'Lock': Semaphore, 'Event': Event, 'Queue': Queue, 'timeout': timeout,
        'get_event_loop': get_event_loop, 'get_running_loop': get_event_loop, 'new_event_loop': get_event_loop,
        'iscoroutine': iscoroutine, 'iscoroutinefunction': iscoroutinefunction,
        'FIRST_COMPLETED': 'FIRST_COMPLETED', 'ALL_COMPLETED': 'ALL_COMPLETED', 'TimeoutError': TimeoutError,
        'CancelledError': KeyboardInterrupt})


_mt_mod_asyncio = _mt_make_asyncio()
