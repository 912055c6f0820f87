import { DAY, HOUR } from '../duration.js'

// How a claim ends: its run is over, or it is taken back. The record they write is described in claim-script.ts.

/**
 * Ends many runs in one step: releases each lock whose value is still the run's id, as redlock's own release does, and
 * records when the run ended, unless it is left for another replica to take over.
 *
 * KEYS  fence, as what the runs' own keys begin with, and lie in the slot of
 * ARGV  for each run a line `finished runId jobId`, with 1 or 0 for `finished`, and 2 for a takeover that never began: it
 *       stays unfinished, and is no attempt
 * Reply a string of one digit for each run: 1 when the lock was released, 0 when it was not the run's own any more
 */
export const FINISH_SCRIPT = `
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local base = string.sub(KEYS[1], 1, -6)
local count, how, runIds, keys = 0, {}, {}, { KEYS[1] }
for finished, runId, jobId in string.gmatch(ARGV[1], '(%d) (%S+) ([^\\n]+)') do
  count = count + 1
  how[count], runIds[count] = finished, runId
  keys[2 * count] = base .. 'lock:' .. jobId
  keys[2 * count + 1] = base .. 'claim:' .. jobId
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
local reply, free = {}, {}
for i = 1, count do
  local finished, runId, claimKey = how[i], runIds[i], keys[2 * i + 1]
  if known[2 * i] == runId then
    free[#free + 1] = keys[2 * i]
    reply[i] = 1
  else
    reply[i] = 0
  end
  local record = finished ~= '0' and known[2 * i + 1]
  if record and finished == '2' then
    local head, id, middle, attempt, definition =
      string.match(record, '^(%-?%d+ %-?%d+ %S+ 0) (%S+) (%d+ %d+ %S+ %-?%d+) (%d+) (%S+)$')
    if id == runId and tonumber(attempt) > 1 then
      -- Under no request's id: should this one be repeated, it takes the run over as any other.
      local before = string.format('%s ~ %s %d %s', head, middle, tonumber(attempt) - 1, definition)
      redis.call('SET', claimKey, before, 'KEEPTTL')
    end
  elseif record then
    local ticks, claimedBy, id, tail = string.match(record, '^(%-?%d+ %-?%d+) (%S+) 0 (%S+) (.*)$')
    if id == runId then
      -- It is over, and its request is not repeated.
      if claimedBy == runId or claimedBy == '?' .. runId then claimedBy = '-' end
      local ended = ticks .. ' ' .. claimedBy .. ' ' .. now .. ' ' .. runId .. ' ' .. tail
      redis.call('SET', claimKey, ended, 'KEEPTTL')
    end
  end
end
if #free > 0 then redis.call('DEL', unpack(free)) end
return table.concat(reply)
`

/**
 * Takes claims back: each lock that is the run's own is released, and a tick that is still claimed by the request is
 * free again and told to the others: `handed` has its tick and when it was handed back. A tick that a later one has passed is over. A repeated call gets the reply it had.
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
local reply = {}
for i = 1, #ARGV - 1 do
  reply[i] = 0
  local claim = ARGV[i + 1]
  local runId, handedTick, endedAt = string.match(claim, '^(%S+) (%-?%d+) (%-?%d+)$')
  local lockKey, claimKey = KEYS[2 * i + 1], KEYS[2 * i + 2]
  if redis.pcall('GET', lockKey) == runId then redis.call('DEL', lockKey) end
  local record = redis.pcall('GET', claimKey)
  if type(record) == 'string' then
    local tick, previous, claimedBy, ended, id, tail =
      string.match(record, '^(%-?%d+) (%-?%d+) (%S+) (%d+) (%S+) (.*)$')
    local own = id == runId and ended == '0'
    if own then ended = tonumber(endedAt) >= 0 and endedAt or string.format('%.0f', now) end
    local mine = claimedBy == runId or claimedBy == '?' .. runId
    if own and not mine then
      reply[i] = 2
      redis.call('SET', claimKey, string.format('%s %s %s %s %s %s', tick, previous, claimedBy, ended, id, tail), 'KEEPTTL')
    elseif mine then
      reply[i] = 1
      redis.call('SET', claimKey, string.format('%s %s - %s %s %s', previous, previous, ended, id, tail), 'KEEPTTL')
      if tonumber(handedTick) >= 0 then
        -- What follows \`...:claim:\`, which is of the length of \`...:handed\`, is the job's id.
        local at = string.format('%s %.0f', handedTick, now)
        redis.call('HSET', KEYS[1], string.sub(claimKey, #KEYS[1] + 1), at)
        redis.call('PEXPIRE', KEYS[1], ${DAY})
      end
    end
  end
end
reply = table.concat(reply)
redis.call('SET', KEYS[2], callId .. ' ' .. reply, 'PX', ${HOUR})
return reply
`
