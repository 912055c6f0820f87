import { ours } from './ours.js'

export const peer = ours({ metrics: { perJob: false } })
