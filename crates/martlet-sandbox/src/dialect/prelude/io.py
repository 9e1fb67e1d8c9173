def _mt_make_io():
    class StringIO:
        _mt_text = True

        def __init__(self, text='', newline=None):
            self.text = text
            self.at = 0
            self.closed = False

        def write(self, text):
            if type(text) is not str:
                raise TypeError("string argument expected, got '" + type(text).__name__ + "'")
            if self.at > len(self.text):
                self.text += '\x00' * (self.at - len(self.text))
            self.text = self.text[:self.at] + text + self.text[self.at + len(text):]
            self.at += len(text)
            return len(text)

        def writelines(self, lines):
            for line in lines:
                self.write(line)

        def getvalue(self):
            return self.text

        def read(self, size=-1):
            end = len(self.text) if size is None or size < 0 else self.at + size
            out = self.text[self.at:end]
            self.at += len(out)
            return out

        def readline(self, size=-1):
            end = self.text.find('\n', self.at)
            end = len(self.text) if end < 0 else end + 1
            out = self.text[self.at:end]
            self.at = end
            return out

        def readlines(self, hint=-1):
            return list(self)

        def seek(self, at, whence=0):
            self.at = at if whence == 0 else (self.at + at if whence == 1 else len(self.text) + at)
            return self.at

        def tell(self):
            return self.at

        def truncate(self, size=None):
            self.text = self.text[:self.at if size is None else size]

        def flush(self):
            pass

        def close(self):
            self.closed = True

        def __iter__(self):
            out = []
            while True:
                line = self.readline()
                if not line:
                    return iter(out)
                out.append(line)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.close()
            return False

    class BytesIO:
        def __init__(self, data=b''):
            self.data = data
            self.at = 0

        def write(self, data):
            self.data = self.data[:self.at] + data + self.data[self.at + len(data):]
            self.at += len(data)
            return len(data)

        def read(self, size=-1):
            end = len(self.data) if size is None or size < 0 else self.at + size
            out = self.data[self.at:end]
            self.at += len(out)
            return out

        def seek(self, at, whence=0):
            self.at = at if whence == 0 else (self.at + at if whence == 1 else len(self.data) + at)
            return self.at

        def tell(self):
            return self.at

        def getvalue(self):
            return self.data

        def close(self):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False
    return _mt_Module('io', {'StringIO': StringIO, 'BytesIO': BytesIO})


_mt_mod_io = _mt_make_io()
