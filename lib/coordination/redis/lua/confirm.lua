-- Confirms claims that a majority has granted, and lets fencing tokens begin above a number.
--
-- KEYS  fence, then for each its claim
-- ARGV  the number, then for each claim the id of its request and the tick that was decided on, or NOBODY for its own
-- Reply a string of one digit for each claim: 1 when it is the request's own, 0 when it is not any more

--- @include "strings"
--- @include "text-at"
--- @include "record"

local last = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if last < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end

-- The run of a tick that was decided on.
local function grantOf(grant, runId, due)
  local id, fence, startedAt, replica, _, attempt = readGrant(grant)
  if id ~= runId then return grant end
  return writeGrant(id, fence, startedAt, replica, due, attempt)
end

local function confirm(key, runId, due)
  local tick, previous, claimedBy, endedAt, grant, fingerprint = readRecord(textAt(key))
  if claimedBy ~= UNCONFIRMED_MARK .. runId and claimedBy ~= runId then return false end
  if due ~= NOBODY then tick, grant = due, grantOf(grant, runId, due) end
  if claimedBy ~= runId or due ~= NOBODY then
    redis.call('SET', key, writeRecord(tick, previous, runId, endedAt, grant, fingerprint), 'KEEPTTL')
  end
  return true
end

local reply = {}
for i = 2, #KEYS do reply[i - 1] = confirm(KEYS[i], match(ARGV[i], '^(%S+) (%S+)$')) and 1 or 0 end
return table.concat(reply)
