def _mt_make_contextlib():
    class Manager:
        def __init__(self, generator):
            self.generator = generator

        def __enter__(self):
            return next(self.generator)

        def __exit__(self, kind, error, traceback):
            if error is None:
                if next(self.generator, _mt_end) is not _mt_end:
                    raise RuntimeError("generator didn't stop")
                return False
            try:
                self.generator.throw(error)
            except StopIteration:
                return True
            except BaseException as e:
                if str(e) == str(error) and type(e) == type(error):
                    return False
                raise
            raise RuntimeError("generator didn't stop after throw()")

    def contextmanager(function):
        def manager(*args, **kwargs):
            return Manager(function(*args, **kwargs))
        return manager

    class suppress:
        def __init__(self, *types):
            self.types = types

        def __enter__(self):
            return None

        def __exit__(self, kind, error, traceback):
            return error is not None and _mt_isinstance(_mt_caught(error), self.types)

    class closing:
        def __init__(self, thing):
            self.thing = thing

        def __enter__(self):
            return self.thing

        def __exit__(self, *error):
            self.thing.close()
            return False

    class nullcontext:
        def __init__(self, value=None):
            self.value = value

        def __enter__(self):
            return self.value

        def __exit__(self, *error):
            return False

    class ExitStack:
        def __init__(self):
            self.exits = []

        def __enter__(self):
            return self

        def enter_context(self, manager):
            value = manager.__enter__()
            self.exits.append(manager.__exit__)
            return value

        def callback(self, function, *args, **kwargs):
            self.exits.append(lambda *error: function(*args, **kwargs) and False)

        def __exit__(self, *error):
            handled = False
            while self.exits:
                if self.exits.pop()(*error):
                    handled = True
                    error = (None, None, None)
            return handled
    return _mt_Module('contextlib', {'contextmanager': contextmanager, 'suppress': suppress, 'closing': closing,
                                     'nullcontext': nullcontext, 'ExitStack': ExitStack})


_mt_mod_contextlib = _mt_make_contextlib()
