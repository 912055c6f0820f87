-- How a job's record is read and written, and the runs that are open. What the words mean is described in record.ts.
--
--   record  tick previous claimedBy endedAt GRANT fingerprint
--   GRANT   runId fencingToken startedAt replica runTick attempt
--   member  GRANT jobId
--
-- The GRANT is what is known of a run from its beginning on, and carried as one text. The run goes on while `endedAt`
-- is 0.

local function readRecord(text)
  return match(text, '^(%-?%d+) (%-?%d+) (%S+) (%d+) (%S+ %d+ %d+ %S+ %-?%d+ %d+) (%S+)$')
end

-- As `readRecord`, without `endedAt`, and with the run's id after its grant; nil for a job whose run has ended.
local function readOngoing(text)
  return match(text, '^(%-?%d+) (%-?%d+) (%S+) 0 ((%S+) %d+ %d+ %S+ %-?%d+ %d+) (%S+)$')
end

local function writeRecord(tick, previous, claimedBy, endedAt, grant, fingerprint)
  return tick .. ' ' .. previous .. ' ' .. claimedBy .. ' ' .. endedAt .. ' ' .. grant .. ' ' .. fingerprint
end

local function readGrant(grant)
  return match(grant, '^(%S+) (%d+) (%d+) (%S+) (%-?%d+) (%d+)$')
end

local function writeGrant(runId, fence, startedAt, replica, runTick, attempt)
  return runId .. ' ' .. fence .. ' ' .. startedAt .. ' ' .. replica .. ' ' .. runTick .. ' ' .. attempt
end

-- That of a job that has had no run.
local function noGrant()
  return NOBODY .. ' 0 0 ' .. NOBODY .. ' -1 0'
end

local function runIdOf(grant)
  return match(grant, '^%S+')
end

-- How a run stands in `open`.
local function memberOf(grant, jobId)
  return grant .. ' ' .. jobId
end

-- The ids of the run and of its job, and the run's word; nil for what is no member.
local function readMember(member)
  local runId, word, jobId = match(member, '^(%S+) %d+ %d+ (%S+) %-?%d+ %d+ (.+)$')
  return runId, jobId, word
end

-- The slot in a run's word, as text.
local function slotIn(word)
  return match(word, ';v=%d+;s=(%d+)') or '1'
end

-- The trigger's word of a fingerprint.
local function triggerOf(fingerprint)
  return match(fingerprint, '^[^.]+')
end

-- A fingerprint without the fields that follow it, and these. See fields.ts.
local function splitFields(fingerprint)
  local at = find(fingerprint, FIELD_MARK, 1, true)
  if not at then return fingerprint, '' end
  return sub(fingerprint, 1, at - 1), sub(fingerprint, at)
end

-- Of the fields in a run's word those that the run which takes it over inherits: their names begin with a capital.
local function inheritedFields(word)
  local inherited = ''
  for field in gmatch(match(word, '^[^;]*;(v=.*)$') or '', '[^;]+') do
    if find(field, '^%u') then inherited = inherited .. FIELD_MARK .. field end
  end
  return inherited
end

-- A fingerprint with one run less in the job's fields, where runs are counted: one has not begun.
local function withoutRun(fingerprint)
  return (string.gsub(fingerprint, ';c=(%d+)', function(count) return ';c=' .. math.max(0, count - 1) end))
end

-- The job's fields, or a fingerprint with them, with when the run of a GRANT began: the run is not in the record any more, or
-- is about to be another.
local function withBegun(text, grant)
  local _, _, startedAt = readGrant(grant)
  local before = tonumber(match(text, ';b=(%d+)')) or 0
  if tonumber(startedAt) <= before then return text end
  return string.gsub(text, ';b=%d+', '') .. ';b=' .. startedAt
end

-- A GRANT whose run has not begun.
local function unbegunGrant(grant)
  local runId, fence, _, word, runTick, attempt = readGrant(grant)
  return writeGrant(runId, fence, '0', word, runTick, attempt)
end
