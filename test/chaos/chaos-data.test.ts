import t from 'tap'
import { testScenarios } from './fixtures/test-scenarios.js'
import { dataScenarios } from './scenarios.js'

await testScenarios(t, dataScenarios)
