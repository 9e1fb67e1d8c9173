// Runs before anything is painted, so that a page in the other theme never flashes up. The rest is in appearance.js.
(function () {
  try {
    var theme = localStorage.getItem('martlet.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is off: the theme of the system it is.
  }
})();
