import t from 'tap'
import { testScenarios } from './fixtures/test-scenarios.js'
import { replicaScenarios } from './scenarios.js'

await testScenarios(t, replicaScenarios)
