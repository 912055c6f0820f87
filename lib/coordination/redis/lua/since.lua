-- Notes since when the fleet has had jobs, and says so. Of replicas with one trigger the first counts. Another trigger,
-- of a replica that came later, takes its place: what was before it, also with a trigger that comes back, leaves
-- nothing to account for. A job of which only its last claimed tick is known was there by then. Claims of jobs that are
-- there are remembered on; what is noted here is so until there is one that is later.
--
-- KEYS  fence
-- ARGV  for each job a line `since isOnce accounted retention trigger jobId`, with NOBODY for `since` where it is not
--       noted, and 1 for `isOnce` where it is only in place of another trigger
-- Reply a string of the times

--- @include "strings"
--- @include "keys"
--- @include "record"
--- @include "text-at"
--- @include "since-note"

local jobs, keys = {}, { KEYS[1] }
for since, isOnce, accounted, retention, trigger, jobId in
  gmatch(ARGV[1], '(%S+) (%d) (%-?%d+) (%d+) (%S+) ([^\n]+)') do
  jobs[#jobs + 1] = { since, isOnce == '1', accounted, tonumber(retention), trigger }
  keys[2 * #jobs] = base .. KEY_SINCE .. jobId
  keys[2 * #jobs + 1] = base .. KEY_CLAIM .. jobId
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))

-- Lets the claim be remembered for at least as long as the job needs it.
local function keepClaim(claimKey, retention)
  local left = redis.call('PTTL', claimKey)
  if left >= 0 and left < retention then redis.call('PEXPIRE', claimKey, retention) end
end

local function note(sinceKey, claimKey, noteText, recordText, since, isOnce, accounted, retention, trigger)
  local at, notedTrigger = readSince(noteText or '')
  local tick, _, _, _, _, claimedAs = readRecord(recordText or '')
  local claimedTrigger = claimedAs and triggerOf(claimedAs)
  local isClaimed = claimedTrigger == trigger and tonumber(tick) >= 0
  local own = isClaimed and tonumber(tick) < tonumber(accounted) and tick or accounted
  if recordText then keepClaim(claimKey, retention) end

  local isFirst = not at and (not claimedTrigger or claimedTrigger == trigger)
  -- What has been replaced may only not be gone yet.
  local isOld = since ~= NOBODY and at and notedTrigger ~= trigger and tonumber(since) <= tonumber(at)
  if since == NOBODY or isOld or (isOnce and isFirst) or (isClaimed and not at) then return own end

  if notedTrigger == trigger then
    local isLater = isClaimed and tonumber(tick) >= tonumber(at)
    if tonumber(accounted) < tonumber(at) then at = accounted end
    redis.call('SET', sinceKey, writeSince(at, trigger), 'KEEPTTL')
    if not isLater then redis.call('PEXPIRE', sinceKey, math.max(redis.call('PTTL', sinceKey), retention)) end
    return at
  end
  local from = at and since or own
  redis.call('SET', sinceKey, writeSince(from, trigger), 'PX', retention)
  return from
end

local reply = {}
for i = 1, #jobs do
  reply[i] = note(keys[2 * i], keys[2 * i + 1], known[2 * i], known[2 * i + 1], unpack(jobs[i]))
end
return table.concat(reply, ' ')
