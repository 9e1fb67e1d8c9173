def _mt_make_fractions():
    import math

    class Fraction:
        def __init__(self, numerator=0, denominator=None):
            if denominator is None:
                if type(numerator) is Fraction:
                    numerator, denominator = numerator.numerator, numerator.denominator
                elif type(numerator) is float:
                    denominator = 1
                    while numerator != int(numerator):
                        numerator *= 2
                        denominator *= 2
                    numerator = int(numerator)
                elif type(numerator) is str:
                    numerator, denominator = parse(numerator)
                elif type(numerator) in (int, bool):
                    denominator = 1
                else:
                    numerator, denominator = parse(str(numerator))
            else:
                if type(numerator) is Fraction or type(denominator) is Fraction:
                    quotient = Fraction(numerator) / Fraction(denominator)
                    numerator, denominator = quotient.numerator, quotient.denominator
                elif type(numerator) not in (int, bool) or type(denominator) not in (int, bool):
                    raise TypeError('both arguments should be Rational instances')
            if denominator == 0:
                raise ZeroDivisionError('Fraction(' + str(numerator) + ', 0)')
            common = math.gcd(numerator, denominator)
            if denominator < 0:
                common = -common
            self.numerator = numerator // common
            self.denominator = denominator // common

        def __repr__(self):
            return 'Fraction(' + str(self.numerator) + ', ' + str(self.denominator) + ')'

        def __str__(self):
            if self.denominator == 1:
                return str(self.numerator)
            return str(self.numerator) + '/' + str(self.denominator)

        def __add__(self, o):
            if type(o) is float:
                return float(self) + o
            o = Fraction(o)
            return Fraction(self.numerator * o.denominator + o.numerator * self.denominator,
                            self.denominator * o.denominator)

        def __radd__(self, o):
            return self + o

        def __sub__(self, o):
            return self + -o

        def __rsub__(self, o):
            return -self + o

        def __mul__(self, o):
            if type(o) is float:
                return float(self) * o
            o = Fraction(o)
            return Fraction(self.numerator * o.numerator, self.denominator * o.denominator)

        def __rmul__(self, o):
            return self * o

        def __truediv__(self, o):
            if type(o) is float:
                return float(self) / o
            o = Fraction(o)
            return Fraction(self.numerator * o.denominator, self.denominator * o.numerator)

        def __rtruediv__(self, o):
            if type(o) is float:
                return o / float(self)
            return Fraction(o) / self

        def __floordiv__(self, o):
            o = Fraction(o)
            return (self.numerator * o.denominator) // (self.denominator * o.numerator)

        def __mod__(self, o):
            return self - Fraction(o) * (self // o)

        def __pow__(self, n):
            if type(n) is not int:
                return float(self) ** float(n)
            if n >= 0:
                return Fraction(self.numerator ** n, self.denominator ** n)
            return Fraction(self.denominator ** -n, self.numerator ** -n)

        def __neg__(self):
            return Fraction(-self.numerator, self.denominator)

        def __pos__(self):
            return self

        def __abs__(self):
            return Fraction(abs(self.numerator), self.denominator)

        def __float__(self):
            return self.numerator / self.denominator

        def __int__(self):
            return int(self.numerator / self.denominator) if self.numerator < 0 else self.numerator // self.denominator

        def __bool__(self):
            return self.numerator != 0

        def __floor__(self):
            return self.numerator // self.denominator

        def __ceil__(self):
            return -(-self.numerator // self.denominator)

        def __round__(self, digits=None):
            if digits is None:
                low = self.numerator // self.denominator
                twice = 2 * (self.numerator - low * self.denominator)
                if twice > self.denominator or twice == self.denominator and low % 2:
                    low += 1
                return low
            shift = 10 ** digits
            return Fraction(round(self * shift), shift)

        def __eq__(self, o):
            if type(o) is Fraction:
                return self.numerator == o.numerator and self.denominator == o.denominator
            if type(o) in (int, bool):
                return self.denominator == 1 and self.numerator == o
            if type(o) is float:
                return float(self) == o
            return False

        def __hash__(self):
            if self.denominator == 1:
                return hash(self.numerator)
            return hash((self.numerator, self.denominator))

        def __lt__(self, o):
            return (self - o).numerator < 0 if type(o) is not float else float(self) < o

        def __gt__(self, o):
            return (self - o).numerator > 0 if type(o) is not float else float(self) > o

        def __le__(self, o):
            return (self - o).numerator <= 0 if type(o) is not float else float(self) <= o

        def __ge__(self, o):
            return (self - o).numerator >= 0 if type(o) is not float else float(self) >= o

        def limit_denominator(self, limit=1000000):
            if self.denominator <= limit:
                return Fraction(self)
            p0, q0, p1, q1 = 0, 1, 1, 0
            n, d = self.numerator, self.denominator
            while True:
                a = n // d
                q2 = q0 + a * q1
                if q2 > limit:
                    break
                p0, q0, p1, q1 = p1, q1, p0 + a * p1, q2
                n, d = d, n - a * d
            k = (limit - q0) // q1
            one = Fraction(p0 + k * p1, q0 + k * q1)
            two = Fraction(p1, q1)
            return two if abs(two - self) <= abs(one - self) else one

        def as_integer_ratio(self):
            return (self.numerator, self.denominator)

    def parse(text):
        text = text.strip().replace('_', '')
        try:
            if '/' in text:
                top, bottom = text.split('/')
                return (int(top), int(bottom))
            exponent = 0
            if 'e' in text.lower():
                text, power = text.lower().split('e')
                exponent = int(power)
            if '.' in text:
                whole, digits = text.split('.')
                exponent -= len(digits)
                text = whole + digits
            value = int(text)
            return (value * 10 ** exponent, 1) if exponent >= 0 else (value, 10 ** -exponent)
        except ValueError:
            raise ValueError('Invalid literal for Fraction: ' + repr(text))
    return _mt_Module('fractions', {'Fraction': Fraction})


_mt_mod_fractions = _mt_make_fractions()
