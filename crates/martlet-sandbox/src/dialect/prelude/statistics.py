def _mt_make_statistics():
    import math
    StatisticsError = _mt_class((ValueError,), ())(type('StatisticsError', (), {}))

    def fail(text):
        raise _mt_raise(StatisticsError(text))

    def exact(items):
        # The sum as a fraction: floats are fractions of powers of two.
        top = 0
        bottom = 1
        for x in items:
            if type(x) in (int, bool):
                top += x * bottom
                continue
            d = 1
            while x != int(x):
                x *= 2
                d *= 2
            x = int(x)
            if d > bottom:
                top *= d // bottom
                bottom = d
            top += x * (bottom // d)
        return (top, bottom)

    def quotient(top, bottom, whole):
        if whole and top % bottom == 0:
            return top // bottom
        return top / bottom

    def simple(data):
        return all([type(x) in (int, bool) for x in data])

    def finite(data):
        return all([type(x) in (int, bool) or type(x) is float and x - x == 0 for x in data])

    def mean(data):
        data = list(data)
        if not data:
            fail('mean requires at least one data point')
        if not finite(data):
            return sum(data) / len(data)
        top, bottom = exact(data)
        return quotient(top, bottom * len(data), simple(data))

    def fmean(data, weights=None):
        data = list(data)
        if not data:
            fail('fmean requires at least one data point')
        if weights is not None:
            weights = list(weights)
            return math.fsum([x * w for x, w in zip(data, weights)]) / math.fsum(weights)
        return math.fsum(data) / len(data)

    def median(data):
        data = sorted(data)
        n = len(data)
        if not n:
            fail('no median for empty data')
        return data[n // 2] if n % 2 else (data[n // 2 - 1] + data[n // 2]) / 2

    def median_low(data):
        data = sorted(data)
        if not data:
            fail('no median for empty data')
        return data[(len(data) - 1) // 2]

    def median_high(data):
        data = sorted(data)
        if not data:
            fail('no median for empty data')
        return data[len(data) // 2]

    def multimode(data):
        counts = {}
        for x in data:
            counts[x] = counts.get(x, 0) + 1
        most = max(counts.values(), default=0)
        return [x for x in counts if counts[x] == most]

    def mode(data):
        found = multimode(data)
        if not found:
            fail('no mode for empty data')
        return found[0]

    def squares(data, xbar=None):
        # The sum of the squared deviations as a fraction.
        n = len(data)
        if not finite(data):
            middle = sum(data) / n
            return (sum([(x - middle) ** 2 for x in data]), 1)
        top, bottom = exact(data)
        common = bottom
        total = 0
        for x in data:
            a, b = exact([x])
            total += (n * a * (common // b) - top) ** 2
        return (total, (n * common) ** 2)

    def root(top, bottom):
        # The square root of a fraction, rounded once.
        if type(top) is float:
            return math.sqrt(top / bottom)
        if top == 0:
            return 0.0
        shift = max(0, 110 - (len(bin(top)) - len(bin(bottom))))
        shift += shift % 2
        value = math.isqrt((top << shift) // bottom)
        if value * value * bottom != top << shift:
            value |= 1
        return value / (1 << (shift // 2))

    def pvariance(data, mu=None):
        data = list(data)
        if not data:
            fail('pvariance requires at least one data point')
        top, bottom = squares(data)
        return quotient(top, bottom * len(data), simple(data))

    def variance(data, xbar=None):
        data = list(data)
        if len(data) < 2:
            fail('variance requires at least two data points')
        top, bottom = squares(data)
        return quotient(top, bottom * (len(data) - 1), simple(data))

    def pstdev(data, mu=None):
        data = list(data)
        if not data:
            fail('pstdev requires at least one data point')
        top, bottom = squares(data)
        return root(top, bottom * len(data))

    def stdev(data, xbar=None):
        data = list(data)
        if len(data) < 2:
            fail('stdev requires at least two data points')
        top, bottom = squares(data)
        return root(top, bottom * (len(data) - 1))

    def harmonic_mean(data):
        data = list(data)
        if not data:
            fail('harmonic_mean requires at least one data point')
        if 0 in data:
            return 0
        return len(data) / sum([1 / x for x in data])

    def geometric_mean(data):
        data = list(data)
        if not data:
            fail('Must have a non-empty dataset')
        return math.exp(math.fsum([math.log(x) for x in data]) / len(data))

    def quantiles(data, *, n=4, method='exclusive'):
        data = sorted(data)
        size = len(data)
        if size < 2:
            fail('must have at least two data points')
        out = []
        if method == 'inclusive':
            for i in range(1, n):
                j, delta = divmod(i * (size - 1), n)
                out.append((data[j] * (n - delta) + data[j + 1] * delta) / n)
            return out
        for i in range(1, n):
            j = min(max(i * (size + 1) // n, 1), size - 1)
            delta = i * (size + 1) - j * n
            out.append((data[j - 1] * (n - delta) + data[j] * delta) / n)
        return out

    def correlation(x, y):
        n = len(x)
        if n != len(y) or n < 2:
            fail('correlation requires that both inputs have the same number of data points, at least two')
        mx = math.fsum(x) / n
        my = math.fsum(y) / n
        sxy = math.fsum([(a - mx) * (b - my) for a, b in zip(x, y)])
        sxx = math.fsum([(a - mx) ** 2 for a in x])
        syy = math.fsum([(b - my) ** 2 for b in y])
        if not sxx or not syy:
            fail('at least one of the inputs is constant')
        return sxy / math.sqrt(sxx * syy)

    def covariance(x, y):
        n = len(x)
        mx = math.fsum(x) / n
        my = math.fsum(y) / n
        return math.fsum([(a - mx) * (b - my) for a, b in zip(x, y)]) / (n - 1)

    def linear_regression(x, y):
        import collections
        n = len(x)
        mx = math.fsum(x) / n
        my = math.fsum(y) / n
        slope = (math.fsum([(a - mx) * (b - my) for a, b in zip(x, y)])
                 / math.fsum([(a - mx) ** 2 for a in x]))
        return collections.namedtuple('LinearRegression', ['slope', 'intercept'])(slope, my - slope * mx)
    return _mt_Module('statistics', {
        'mean': mean, 'fmean': fmean, 'median': median, 'median_low': median_low, 'median_high': median_high,
        'mode': mode, 'multimode': multimode, 'variance': variance, 'pvariance': pvariance, 'stdev': stdev,
        'pstdev': pstdev, 'harmonic_mean': harmonic_mean, 'geometric_mean': geometric_mean,
        'quantiles': quantiles, 'correlation': correlation, 'covariance': covariance,
        'linear_regression': linear_regression, 'StatisticsError': StatisticsError})


_mt_mod_statistics = _mt_make_statistics()
