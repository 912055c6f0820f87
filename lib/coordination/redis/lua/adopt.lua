-- Takes over claims that a majority of masters has confirmed and this one has not, as it gave its vote to others or has
-- lost it. A later tick, and one that is confirmed here, stays as it is.
--
-- KEYS  fence
-- ARGV  the replica's word, then one line for each claim: `tick retention fingerprint runId fencingToken runTick
--       attempt jobId`, with NOBODY for the token of one without a run

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "text-at"
--- @include "record"
--- @include "since-note"

local replica = ARGV[1]
local nowText = format('%.0f', now)
local claims, keys, opened = {}, { KEYS[1], openKey }, {}
for tick, retention, fingerprint, runId, fence, runTick, attempt, jobId in
  gmatch(ARGV[2], '(%-?%d+) (%d+) (%S+) (%S+) (%S+) (%-?%d+) (%d+) ([^\n]+)') do
  claims[#claims + 1] = { tick, retention, fingerprint, runId, fence, runTick, attempt, jobId }
  keys[#keys + 1] = base .. KEY_CLAIM .. jobId
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))

local function adopt(claimKey, text, tick, retention, fingerprint, runId, fence, runTick, attempt, jobId)
  local before, previous, claimedBy, endedAt, grant, claimedAs = readRecord(text or '')
  if not before then
    -- What cannot be read stays as it is.
    if text or redis.call('EXISTS', claimKey) == 1 then return end
    before, previous, claimedBy, endedAt, grant, claimedAs = '-1', '-1', NOBODY, nowText, noGrant(), fingerprint
  end
  local _, fields = splitFields(claimedAs)
  local isUnconfirmed = sub(claimedBy, 1, 1) == UNCONFIRMED_MARK
  if tonumber(before) > tonumber(tick) or (before == tick and not isUnconfirmed) then return end

  if fence ~= NOBODY then
    endedAt, grant = '0', writeGrant(runId, fence, nowText, replica, runTick, attempt)
    opened[#opened + 1] = now + LOOK_AT_ADOPTED_AFTER
    opened[#opened + 1] = memberOf(grant, jobId)
  elseif isUnconfirmed and endedAt == '0' and runIdOf(grant) == sub(claimedBy, 2) then
    -- The run of a claim that was never confirmed has not begun.
    endedAt = before
  end
  local trigger = triggerOf(fingerprint)
  if before == '-1' or triggerOf(claimedAs) ~= trigger then noteFirstClaim(jobId, trigger, retention) end
  local record = writeRecord(tick, isUnconfirmed and previous or before, runId, endedAt, grant, fingerprint .. fields)
  redis.call('SET', claimKey, record, 'PX', retention)
end

for i = 1, #claims do adopt(keys[i + 2], known[i + 2], unpack(claims[i])) end
if #opened > 0 then redis.call('ZADD', openKey, unpack(opened)) end
