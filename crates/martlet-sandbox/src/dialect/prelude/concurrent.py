def _mt_make_concurrent():
    class Future:
        def __init__(self, value, error):
            self.value = value
            self.error = error

        def result(self, timeout=None):
            if self.error is not None:
                raise self.error
            return self.value

        def exception(self, timeout=None):
            return self.error

        def done(self):
            return True

    class ThreadPoolExecutor:
        # There are no threads: what is submitted runs at once.
        def __init__(self, max_workers=None, **options):
            self.max_workers = max_workers

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def submit(self, function, *args, **kwargs):
            try:
                return Future(function(*args, **kwargs), None)
            except Exception as e:
                error = e
            return Future(None, error)

        def map(self, function, *iterables, **options):
            return [function(*args) for args in zip(*iterables)]

        def shutdown(self, wait=True):
            pass

    def as_completed(items, timeout=None):
        return list(items)
    futures = _mt_Module('concurrent.futures', {
        'ThreadPoolExecutor': ThreadPoolExecutor, 'ProcessPoolExecutor': ThreadPoolExecutor,
        'as_completed': as_completed, 'Future': Future})
    return _mt_Module('concurrent', {'futures': futures})


_mt_mod_concurrent = _mt_make_concurrent()
