import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { MemoryCoordination } from '../../lib/coordination/memory/coordination.js'
import { MemoryStore } from '../../lib/coordination/memory/store.js'
import { MemoryNode } from '../../lib/testing/memory-node.js'
import { VotingStore } from '../../lib/testing/voting-store.js'
import { blockContract } from '../fixtures/contract/block-contract.js'
import { coordinationContract } from '../fixtures/contract/coordination-contract.js'
import { listen, type WithReplicas } from '../fixtures/contract/requests.js'
import { runCountContract } from '../fixtures/contract/run-count-contract.js'
import { slotContract } from '../fixtures/contract/slot-contract.js'
import { startInSlotContract } from '../fixtures/contract/start-run-contract.js'
import { confirming, voteContract, type WithNodes } from '../fixtures/contract/vote-contract.js'
import { waitingContract } from '../fixtures/contract/waiting-contract.js'

const withReplicas: WithReplicas = async (count, body) => {
  const store = new MemoryStore()
  const heard = Array.from({ length: count }, listen)
  await body(
    heard.map((listener) => new MemoryCoordination(systemClock, store, 1000, listener)),
    heard
  )
}

coordinationContract(t, withReplicas)

t.test('blocks', async (t) => blockContract(t, withReplicas))

t.test('slots', async (t) => slotContract(t, withReplicas))

t.test('runs that are counted', async (t) => runCountContract(t, withReplicas))

t.test('runs at the start, in slots', async (t) => startInSlotContract(t, withReplicas))

t.test('what waits', async (t) => waitingContract(t, withReplicas))

const withVotes: WithNodes = async (count, body) => {
  const store = new VotingStore()
  await body(Array.from({ length: count }, () => new MemoryNode(systemClock, store, 1000, listen())))
}

t.test('as one of several stores', async (t) => voteContract(t, withVotes))

t.test('as one of several stores, when all is confirmed', async (t) => {
  coordinationContract(t, async (count, body) => {
    const store = new VotingStore()
    const heard = Array.from({ length: count }, listen)
    const replicas = heard.map((listener) => new MemoryNode(systemClock, store, 1000, listener))
    await body(replicas.map(confirming), heard)
  })
})
