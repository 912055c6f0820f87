-- Finds runs whose lock has ended some seconds ago and whose end nobody has recorded. Those that still have theirs, as
-- it was extended, are to be looked at again when it would end. So are those whose lock would end soon: a build that knows
-- no slots looks for the first one alone, and would find a run in another overdue.
--
-- KEYS  fence
-- Reply Redis' time in microseconds; the last fencing token; the server's `run_id`, `''` where it may not be asked; of
--       each run what stands in `open`, and until when it was to have its lock; the jobs for which something waits; the
--       version of the last change; what was handed back, as the hash has it

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "text-at"
--- @include "record"
--- @include "slots"

local fence = redis.call('GET', KEYS[1]) or '0'
local info = redis.pcall('INFO', 'server')
local serverId = type(info) == 'string' and match(info, 'run_id:(%w+)') or ''
local due =
  redis.call('ZRANGEBYSCORE', openKey, '-inf', now + ABANDONED_AFTER, 'WITHSCORES', 'LIMIT', 0, MAX_LOOKED_AT)

-- Whether its claim was never confirmed: it has not begun.
local function isUnconfirmed(runId, jobId)
  local _, _, claimedBy = readRecord(textAt(base .. KEY_CLAIM .. jobId))
  return claimedBy == UNCONFIRMED_MARK .. runId
end

local found = {}
for i = 1, #due, 2 do
  local member = due[i]
  local runId, jobId, word = readMember(member)
  local slot = runId and slotIn(word)
  local lockKey = runId and lockOfSlot(jobId, slot)
  if not runId then
    redis.call('ZREM', openKey, member)
  elseif textAt(lockKey) == runId then
    local lockedUntil = now + math.max(redis.call('PTTL', lockKey), 0)
    redis.call('ZADD', openKey, format('%.0f', lockedUntil), member)
  elseif tonumber(due[i + 1]) > now - ABANDONED_AFTER then
    -- Its replica has some seconds to tell of its end.
  elseif isUnconfirmed(runId, jobId) then
    redis.call('ZREM', openKey, member)
  else
    found[#found + 1] = member
    found[#found + 1] = due[i + 1]
  end
end
redis.call('PEXPIRE', openKey, KEEP_OPEN)
local waiting = redis.call('ZRANGE', base .. KEY_WAITING, 0, MAX_WAITING - 1)
local handed = redis.call('HGETALL', base .. KEY_HANDED)
return { micros, fence, serverId, found, waiting, textAt(base .. KEY_VERSION), handed }
