-- `since:<id>`: since when the fleet has had a job, with the trigger's word.

local function readSince(note)
  return match(note, '^(%-?%d+) (%S+)$')
end

local function writeSince(at, trigger)
  return at .. ' ' .. trigger
end

-- A job is claimed for the first time under a trigger: from here on its claims say what was taken.
local function noteFirstClaim(jobId, trigger, retention)
  local key = base .. KEY_SINCE .. jobId
  local _, noted = readSince(textAt(key))
  if noted == trigger then redis.call('PEXPIRE', key, math.min(tonumber(retention), KEEP_SINCE)) end
end
