# A generator as an object around a function that goes on from where it stopped.
class _mt_Generator:
    def __init__(self, step, name='generator'):
        self._mt_step = step
        self._mt_done = False
        self._mt_name = name
        self._mt_ahead = []

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        return self._mt_go(value, None)

    def throw(self, error, *rest):
        if type(error) == type(int):
            error = error()
        return self._mt_go(None, error)

    def _mt_go(self, value, error):
        if self._mt_done:
            if error is not None:
                raise error
            raise StopIteration
        try:
            out = self._mt_step(value, error)
        except BaseException:
            self._mt_done = True
            raise
        if out[0]:
            return out[1]
        self._mt_done = True
        self._mt_value = out[1]
        raise _mt_stop(out[1])

    def close(self):
        if not self._mt_done:
            try:
                self._mt_step(None, _mt_exit)
            except BaseException as e:
                if e.args != _mt_exit.args:
                    raise
            self._mt_done = True

    def __repr__(self):
        return '<generator object ' + self._mt_name + '>'


_mt_exit = BaseException('\u2063GeneratorExit')


def _mt_stop(value):
    # The interpreter's exceptions carry texts only.
    if type(value) is not str:
        return StopIteration()
    return StopIteration(value)


class _mt_Delegate:
    # What `yield from` goes through; `value` is what it gives in the end.
    def __init__(self, items):
        self.items = iter(items)
        self.generator = type(self.items) is _mt_Generator
        self.value = None

    def step(self, sent, error):
        if error is not None:
            if self.generator:
                try:
                    return (True, self.items.throw(error))
                except StopIteration:
                    self.value = self.items._mt_value
                    return (False, None)
            raise error
        try:
            if self.generator:
                return (True, self.items.send(sent))
            return (True, next(self.items))
        except StopIteration:
            if self.generator and self.items._mt_done:
                self.value = getattr(self.items, '_mt_value', None)
            return (False, None)


_mt_end = type('_mt_end', (), {})()


def _mt_lazy(function, items, *conditions):
    # A generator expression with one `for`: only as far as it is asked for.
    items = iter(items)

    def step(sent, error):
        if error is not None:
            raise error
        while True:
            x = next(items, _mt_end)
            if x is _mt_end:
                return (False, None)
            for condition in conditions:
                if not condition(x):
                    break
            else:
                return (True, function(x))
    return _mt_Generator(step, '<genexpr>')


def _mt_catches(error, types):
    # Whether an `except` of these types catches the exception.
    try:
        raise error
    except _mt_match(types):
        return True
    except BaseException:
        return False


def _mt_plain(error):
    return _mt_caught(error)
