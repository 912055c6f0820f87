import t from 'tap'
import { testScenarios } from './fixtures/test-scenarios.js'
import { topologyScenarios } from './scenarios.js'

await testScenarios(t, topologyScenarios)
