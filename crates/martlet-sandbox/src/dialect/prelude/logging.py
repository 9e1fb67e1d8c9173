def _mt_make_logging():
    levels = {10: 'DEBUG', 20: 'INFO', 30: 'WARNING', 40: 'ERROR', 50: 'CRITICAL'}
    import sys

    class Logger:
        def __init__(self, name):
            self.name = name
            self.level = 30

        def setLevel(self, level):
            if type(level) is str:
                level = [n for n in levels if levels[n] == level][0]
            self.level = level

        def log(self, level, message, *args, **options):
            if level >= self.level:
                text = message % args if args else str(message)
                print(levels.get(level, str(level)) + ':' + self.name + ':' + text, file=sys.stderr)

        def debug(self, message, *args, **options):
            self.log(10, message, *args)

        def info(self, message, *args, **options):
            self.log(20, message, *args)

        def warning(self, message, *args, **options):
            self.log(30, message, *args)

        def error(self, message, *args, **options):
            self.log(40, message, *args)

        def exception(self, message, *args, **options):
            self.log(40, message, *args)

        def critical(self, message, *args, **options):
            self.log(50, message, *args)

        def addHandler(self, handler):
            pass

        def isEnabledFor(self, level):
            return level >= self.level
    loggers = {'root': Logger('root')}
    root = loggers['root']

    def getLogger(name='root'):
        if name not in loggers:
            loggers[name] = Logger(name)
            loggers[name].level = root.level
        return loggers[name]

    def basicConfig(level=30, **options):
        for name in loggers:
            loggers[name].setLevel(level)
    return _mt_Module('logging', {
        'getLogger': getLogger, 'basicConfig': basicConfig, 'Logger': Logger, 'debug': root.debug,
        'info': root.info, 'warning': root.warning, 'error': root.error, 'exception': root.exception,
        'critical': root.critical, 'DEBUG': 10, 'INFO': 20, 'WARNING': 30, 'ERROR': 40, 'CRITICAL': 50})


_mt_mod_logging = _mt_make_logging()
