-- Records runs as abandoned, each once: a run that has ended meanwhile, or has its lock, is none. A repeated call gets
-- the reply it had. What stood in `open` is kept beside the mark, should the call be taken back.
--
-- KEYS  fence
-- ARGV  the call's id, then for each run `runId slot jobId`
-- Reply a string of one digit for each run, one of the ABANDONs

--- @include "strings"
--- @include "keys"
--- @include "record"
--- @include "slots"
--- @include "replaced"

local callId = ARGV[1]
local count, keys, runIds, slots, jobIds = 0, { KEYS[1], openKey }, {}, {}, {}
for i = 2, #ARGV do
  local runId, slot, jobId = match(ARGV[i], '^(%S+) (%d+) (.+)$')
  count = count + 1
  runIds[count], slots[count], jobIds[count] = runId, slot, jobId
  keys[2 * count + 1] = base .. KEY_ABANDONED .. runId
  keys[2 * count + 2] = lockOfSlot(jobId, slot)
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
-- Each of several masters has given the run a fencing token of its own.
local memberOfRun = {}
for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do memberOfRun[match(member, '^%S+')] = member end

-- The run in another slot than the first is over, unless another replica is to take it over.
local function forgetSlot(runId, slot, jobId, isReplaced)
  local grant = slot ~= '1' and runInSlot(jobId, slot)
  if grant and runIdOf(grant) == runId and (isReplaced or match(grant, '%d+$') == '0') then
    redis.call('HDEL', runsKey(jobId), slot)
  end
end

local function abandon(runId, slot, jobId, markKey, mark, holder)
  if mark then return match(mark, '^%S+') == callId and ABANDON_RECORDED or ABANDON_ELSEWHERE end
  if holder == runId then return ABANDON_HELD end
  local member = memberOfRun[runId]
  if not member then return ABANDON_CLOSED end
  redis.call('ZREM', openKey, member)
  redis.call('SET', markKey, callId .. ' ' .. member, 'PX', KEEP_ABANDONED)
  forgetSlot(runId, slot, jobId, redis.call('HDEL', base .. KEY_HANDED, replacedField(runId)) == 1)
  local request = match(member, ';Q=([^;%s]+)')
  if request and match(member, '^%S+ %d+ %d+ %S+ %-?%d+ (%d+)') == '0' then
    redis.call('HDEL', base .. KEY_REQUESTS .. jobId, request)
  end
  return ABANDON_RECORDED
end

local reply = {}
for i = 1, count do
  reply[i] = abandon(runIds[i], slots[i], jobIds[i], keys[2 * i + 1], known[2 * i + 1], known[2 * i + 2])
end
return table.concat(reply)
