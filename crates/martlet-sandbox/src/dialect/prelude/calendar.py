def _mt_make_calendar():
    import datetime
    day_name = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
    month_name = ['', 'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September',
                  'October', 'November', 'December']

    def isleap(year):
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)

    def leapdays(y1, y2):
        return len([y for y in range(y1, y2) if isleap(y)])

    def weekday(year, month, day):
        return datetime.date(year, month, day).weekday()

    def monthrange(year, month):
        if not 1 <= month <= 12:
            raise ValueError('bad month number ' + str(month) + '; must be 1-12')
        days = [31, 29 if isleap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        return (weekday(year, month, 1), days)

    def monthcalendar(year, month):
        first, days = monthrange(year, month)
        cells = [0] * first + list(range(1, days + 1))
        cells += [0] * (-len(cells) % 7)
        return [cells[i:i + 7] for i in range(0, len(cells), 7)]

    def month(year, number, w=0, l=0):
        title = (month_name[number] + ' ' + str(year)).center(20).rstrip()
        lines = [title, 'Mo Tu We Th Fr Sa Su']
        for week in monthcalendar(year, number):
            lines.append(' '.join(['  ' if day == 0 else format(day, '2d') for day in week]).rstrip())
        return '\n'.join(lines) + '\n'

    def timegm(t):
        moment = datetime.datetime(t[0], t[1], t[2], t[3], t[4], t[5])
        return int((moment - datetime.datetime(1970, 1, 1)).total_seconds())
    return _mt_Module('calendar', {
        'isleap': isleap, 'leapdays': leapdays, 'weekday': weekday, 'monthrange': monthrange,
        'monthcalendar': monthcalendar, 'month': month, 'timegm': timegm, 'day_name': day_name,
        'day_abbr': [name[:3] for name in day_name], 'month_name': month_name,
        'month_abbr': [name[:3] for name in month_name], 'MONDAY': 0, 'TUESDAY': 1, 'WEDNESDAY': 2, 'THURSDAY': 3,
        'FRIDAY': 4, 'SATURDAY': 5, 'SUNDAY': 6})


_mt_mod_calendar = _mt_make_calendar()
