// What a fire allocates, run in the checkout it measures: it prints what one round gave, as JSON.
import { runPeer, type Sample } from './measure.js'
import type { Measured } from './meter.js'
import { program } from './program.js'

/** A young generation that holds all that a window allocates, so that what it grows by is what was allocated. */
const NO_COLLECTION = ['--min-semi-space-size=1024', '--max-semi-space-size=1024']

const [jobs = '', warmUp = '', seconds = ''] = process.argv.slice(2)
const count = () =>
  runPeer<Measured>(program('peers/dispatch/main.ts'), ['ours.ts', jobs, warmUp, seconds], NO_COLLECTION)
let counted = await count()
// V8 may collect for reasons of its own; what the heap grew by is then not what was allocated.
for (let again = 0; counted.collections > 0 && again < 5; again++) counted = await count()
if (counted.collections > 0) throw new Error(`V8 collected garbage ${counted.collections} times in each window`)
const sample: Sample = {
  costs: { 'allocated a run, bytes': counted.allocated / counted.fires },
  faults: counted.due - counted.ran + counted.doubled
}
process.stdout.write(JSON.stringify(sample), () => process.exit(0))
