import t from 'tap'
import { testScenarios } from './fixtures/test-scenarios.js'
import { redisScenarios } from './scenarios.js'

await testScenarios(t, redisScenarios)
