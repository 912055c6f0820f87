// What the tests execute of lib/, in all of the processes that they start: `npm run coverage`. Lines are those of the sources.
export default {
  name: 'fastify-redlock-scheduler',
  outputDir: 'coverage',
  reports: ['console-details', 'html', 'lcovonly'],
  entryFilter: { '**/.tap/compiled-*/**': true, '**/*': false },
  sourceFilter: { 'lib/**': true, '**/*': false }
}
