class _mt_Module:
    def __init__(self, name, members):
        self.__name__ = name
        for key, value in members.items():
            setattr(self, key, value)

    def __repr__(self):
        return '<module ' + repr(self.__name__) + '>'
