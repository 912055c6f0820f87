import { DAY, HOUR } from '../../base/duration.js'
import { SERIES } from '../../base/run-ids.js'
import { GIVEN_UP } from './claim-script.js'

/** How many runs that the caller has not named are ended in one call. */
const MAX_SWEPT = 2000

// How a claim ends: its run is over, or it is taken back. The record they write is described in claim-script.ts.

/**
 * Takes runs out of those that are open whose records do not say any more how they stand there.
 *
 * In   `openKey`; `strays`, a table with their ids as keys
 */
const CLOSE_STRAYS = `
if next(strays) then
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    if strays[string.match(member, '^%S+')] then redis.call('ZREM', openKey, member) end
  end
end
`

/**
 * Ends many runs in one step: releases each lock whose value is still the run's id, as redlock's own release does, records
 * when the run ended, unless it is left for another replica to take over, and takes it out of those that are open.
 *
 * KEYS  fence, as what the runs' own keys begin with, and lie in the slot of
 * ARGV  for each run a line `finished runId jobId`, with 1 or 0 for `finished`, 2 for a takeover that never began: it stays
 *       unfinished, and is no attempt, and 3 for one whose outcome is known and which keeps its lock;
 *       where the caller's other runs that stand open are to end as well, an id of its own, before which theirs were made, and
 *       the ids of those that go on
 * Reply a string of one digit for each run given: 1 when the lock was released, 0 when it was not the run's own any more,
 *       2 when the run was recorded as abandoned before
 */
export const FINISH_SCRIPT = `
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local base = string.sub(KEYS[1], 1, -6)
local openKey = base .. 'open'
local count, how, runIds, jobIds, keys = 0, {}, {}, {}, { KEYS[1] }
for finished, runId, jobId in string.gmatch(ARGV[1], '(%d) (%S+) ([^\\n]+)') do
  count = count + 1
  how[count], runIds[count], jobIds[count] = finished, runId, jobId
end
local given = count
if ARGV[2] then
  local ownBase, series, index = string.match(ARGV[2], '^(%S+%-)(%d+)%-(%d+)$')
  local order = tonumber(series) * ${SERIES} + tonumber(index)
  local isLive = {}
  for runId in string.gmatch(ARGV[3], '%S+') do isLive[runId] = true end
  for i = 1, given do isLive[runIds[i]] = true end
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    local runId, jobId = string.match(member, '^(%S+) %S+ %S+ %S+ %S+ %S+ (.+)$')
    if count == given + ${MAX_SWEPT} then break end
    local own, itsSeries, itsIndex = string.match(runId or '', '^(%S+%-)(%d+)%-(%d+)$')
    -- What was asked for later may come first.
    local isBefore = own == ownBase and tonumber(itsSeries) * ${SERIES} + tonumber(itsIndex) < order
    if isBefore and not isLive[runId] then
      count = count + 1
      how[count], runIds[count], jobIds[count] = '1', runId, jobId
    end
  end
end
for i = 1, count do
  keys[2 * i] = base .. 'lock:' .. jobIds[i]
  keys[2 * i + 1] = base .. 'claim:' .. jobIds[i]
end
keys[2 * count + 2] = openKey
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
local reply, free, closed, strays = {}, {}, {}, {}
for i = 1, count do
  local finished, runId, claimKey, record = how[i], runIds[i], keys[2 * i + 1], known[2 * i + 1]
  reply[i] = 0
  if known[2 * i] == runId and finished ~= '3' then
    free[#free + 1] = keys[2 * i]
    reply[i] = 1
  end
  local ticks, claimedBy, id, run, attempt, definition
  if record then
    ticks, claimedBy, id, run, attempt, definition =
      string.match(record, '^(%-?%d+ %-?%d+) (%S+) 0 (%S+) (%d+ %d+ %S+ %-?%d+) (%d+) (%S+)$')
  end
  if id ~= runId then
    strays[runId] = true
  else
    closed[#closed + 1] = id .. ' ' .. run .. ' ' .. attempt .. ' ' .. jobIds[i]
    if finished == '1' then
      -- It is over, and its request is not repeated.
      if claimedBy == runId or claimedBy == '?' .. runId then claimedBy = '-' end
      local ended = ticks .. ' ' .. claimedBy .. ' ' .. now .. ' ' .. runId .. ' ' .. run .. ' ' .. attempt .. ' ' .. definition
      redis.call('SET', claimKey, ended, 'KEEPTTL')
    elseif finished == '2' and tonumber(attempt) > 1 then
      -- Under no request's id: should this one be repeated, it takes the run over as any other.
      local before = string.format('%s %s 0 ${GIVEN_UP} %s %d %s', ticks, claimedBy, run, tonumber(attempt) - 1, definition)
      redis.call('SET', claimKey, before, 'KEEPTTL')
    end
  end
end
if #free > 0 then redis.call('DEL', unpack(free)) end
local isOpen = #closed == 0 and 0 or redis.call('ZREM', openKey, unpack(closed))
if isOpen < count then
  local marks = {}
  for i = 1, given do marks[i] = base .. 'abandoned:' .. runIds[i] end
  local abandoned = given > 0 and redis.call('MGET', unpack(marks)) or {}
  for i = 1, given do
    if abandoned[i] then reply[i] = 2 end
    strays[runIds[i]] = true
  end
  ${CLOSE_STRAYS}
end
return table.concat(reply, '', 1, given)
`

/**
 * Takes claims back: each lock that is the run's own is released, and a tick that is still claimed by the request is
 * free again and told to the others: `handed` has its tick, whose claim it was, and when it was handed back, and no block of
 * such a tick is marked as taken any more. A tick that a later one has passed is over. A repeated call gets the reply it had.
 *
 * KEYS  handed, the replica's last reply, then for each claim its lock and its claim
 * ARGV  the call's id, then for each claim `runId tick endedAt`, with -1 for a tick that nobody is told of, and -1 for the end that is now
 * Reply a string of one digit for each claim: 1 when its tick is free again, 2 when it is over without a run, 0 when it
 *       was not its own
 */
export const HAND_BACK_SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local callId = ARGV[1]
local last = redis.pcall('GET', KEYS[2])
if type(last) == 'string' and string.sub(last, 1, #callId + 1) == callId .. ' ' then
  return string.sub(last, #callId + 2)
end
-- What the keys of the app begin with.
local base = string.sub(KEYS[1], 1, -7)
local openKey = base .. 'open'
local marks, seen = {}, {}
for i = 2, #ARGV do
  local tick = string.match(ARGV[i], '^%S+ (%d+)')
  if tick and not seen[tick] then
    seen[tick] = true
    marks[#marks + 1] = base .. 'taken:' .. tick
  end
end
redis.call('EXISTS', openKey, unpack(marks)) -- Before anything is written: a Cluster whose slot is moving may refuse it.
if #marks > 0 then redis.call('DEL', unpack(marks)) end
local reply, closed, strays = {}, {}, {}
for i = 1, #ARGV - 1 do
  reply[i] = 0
  local claim = ARGV[i + 1]
  local runId, handedTick, endedAt = string.match(claim, '^(%S+) (%-?%d+) (%-?%d+)$')
  local lockKey, claimKey = KEYS[2 * i + 1], KEYS[2 * i + 2]
  if redis.pcall('GET', lockKey) == runId then redis.call('DEL', lockKey) end
  local record = redis.pcall('GET', claimKey)
  local own = false
  if type(record) == 'string' then
    local tick, previous, claimedBy, ended, id, tail =
      string.match(record, '^(%-?%d+) (%-?%d+) (%S+) (%d+) (%S+) (.*)$')
    own = id == runId and ended == '0'
    if own then
      -- What follows \`...:claim:\`, which is of the length of \`...:handed\`, is the job's id.
      local run = string.match(tail, '^(.*) %S+$')
      closed[#closed + 1] = id .. ' ' .. run .. ' ' .. string.sub(claimKey, #KEYS[1] + 1)
    end
    if own then ended = tonumber(endedAt) >= 0 and endedAt or string.format('%.0f', now) end
    local mine = claimedBy == runId or claimedBy == '?' .. runId
    if own and not mine then
      reply[i] = 2
      redis.call('SET', claimKey, string.format('%s %s %s %s %s %s', tick, previous, claimedBy, ended, id, tail), 'KEEPTTL')
    elseif mine then
      reply[i] = 1
      if tick == previous then
        -- A date that was claimed beside the ticks of another trigger.
        local datesKey = string.sub(KEYS[1], 1, -7) .. 'dates:' .. string.sub(claimKey, #KEYS[1] + 1)
        local dates = redis.call('HGETALL', datesKey)
        for at = 2, #dates, 2 do if dates[at] == runId then redis.call('HDEL', datesKey, dates[at - 1]) end end
      end
      redis.call('SET', claimKey, string.format('%s %s - %s %s %s', previous, previous, ended, id, tail), 'KEEPTTL')
      if tonumber(handedTick) >= 0 then
        local told = string.format('%s %s %.0f', handedTick, runId, now)
        redis.call('HSET', KEYS[1], string.sub(claimKey, #KEYS[1] + 1), told)
        redis.call('PEXPIRE', KEYS[1], ${DAY})
      end
    end
  end
  if not own then strays[runId] = true end
end
if #closed > 0 then redis.call('ZREM', openKey, unpack(closed)) end
${CLOSE_STRAYS}
reply = table.concat(reply)
redis.call('SET', KEYS[2], callId .. ' ' .. reply, 'PX', ${HOUR})
return reply
`
