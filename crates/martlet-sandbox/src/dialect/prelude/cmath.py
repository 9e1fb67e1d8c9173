def _mt_make_cmath():
    import math

    def phase(z):
        z = complex(z)
        return math.atan2(z.imag, z.real)

    def polar(z):
        return (abs(z), phase(z))

    def rect(r, phi):
        return complex(r * math.cos(phi), r * math.sin(phi))

    def exp(z):
        z = complex(z)
        return rect(math.exp(z.real), z.imag)

    def log(z, *base):
        value = complex(math.log(abs(z)), phase(z))
        return value / math.log(base[0]) if base else value

    def sqrt(z):
        z = complex(z)
        if z == 0:
            return complex(0, z.imag)
        size = math.sqrt((abs(z.real) + abs(z)) / 2)
        other = abs(z.imag) / (2 * size)
        if z.real >= 0:
            return complex(size, math.copysign(other, z.imag))
        return complex(other, math.copysign(size, z.imag))

    def isclose(a, b, *, rel_tol=1e-09, abs_tol=0.0):
        return abs(a - b) <= max(rel_tol * max(abs(a), abs(b)), abs_tol)
    return _mt_Module('cmath', {'phase': phase, 'polar': polar, 'rect': rect, 'exp': exp, 'log': log, 'sqrt': sqrt,
                                'isclose': isclose, 'pi': math.pi, 'e': math.e, 'tau': math.tau})


_mt_mod_cmath = _mt_make_cmath()
