export { SimulatedReplica, type SimulatedReplicaOptions } from './simulated-replica.js'
export type { Network } from './simulated-store.js'
export { SimulatedStore } from './simulated-store.js'
export { Simulation, type SimulationOptions } from './simulation.js'
