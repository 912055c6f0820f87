export const assets = {
  'index.html': { type: 'text/html; charset=utf-8', gzip: '' }
}
