def _mt_make_traceback():
    def describe(e):
        text = str(e)
        return type(e).__name__ + (': ' + text if text else '')

    def format_exc(limit=None, chain=True):
        try:
            raise
        except BaseException as e:
            return 'Traceback (most recent call last):\n' + describe(_mt_caught(e)) + '\n'

    def print_exc(limit=None, file=None, chain=True):
        import sys
        try:
            raise
        except BaseException as e:
            print('Traceback (most recent call last):\n' + describe(_mt_caught(e)), file=sys.stderr)

    def format_exception_only(*args):
        return [describe(args[-1]) + '\n']
    return _mt_Module('traceback', {'format_exc': format_exc, 'print_exc': print_exc,
                                    'format_exception_only': format_exception_only})


_mt_mod_traceback = _mt_make_traceback()
