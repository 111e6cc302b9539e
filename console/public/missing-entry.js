// Before anything else is read: when the page's own script is missing, as while AIOS is being upgraded, nothing else would say why the page is blank.
const AGAIN_MS = 5_000;
const SAID =
  '<main style="font-family:system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem">' +
  '<h1>AIOS could not be loaded</h1>' +
  '<p>A part of the page is missing, as while AIOS is being upgraded. It is tried again every few seconds.</p>' +
  '<p>If this does not go away, the console was built again while AIOS was running: restart AIOS, and this page loads by itself.</p></main>';

addEventListener(
  'error',
  ({ target }) => {
    if (!(target instanceof HTMLScriptElement) || document.querySelector('main')) return;
    document.body.insertAdjacentHTML('beforeend', SAID);
    setTimeout(() => location.reload(), AGAIN_MS);
  },
  true,
);
