def _mt_make_stat():
    def kind(bits):
        return lambda mode: mode & 0o170000 == bits
    return _mt_Module('stat', {
        'S_ISDIR': kind(0o040000), 'S_ISREG': kind(0o100000), 'S_ISLNK': kind(0o120000),
        'S_IMODE': lambda mode: mode & 0o7777, 'S_IFMT': lambda mode: mode & 0o170000, 'S_IFDIR': 0o040000,
        'S_IFREG': 0o100000, 'S_IFLNK': 0o120000, 'S_IRUSR': 0o400, 'S_IWUSR': 0o200, 'S_IXUSR': 0o100,
        'S_IRGRP': 0o040, 'S_IWGRP': 0o020, 'S_IXGRP': 0o010, 'S_IROTH': 0o004, 'S_IWOTH': 0o002,
        'S_IXOTH': 0o001})


_mt_mod_stat = _mt_make_stat()
