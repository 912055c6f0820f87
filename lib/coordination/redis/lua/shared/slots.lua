-- The slots of a job beyond the first, which is the job's lock, with the run that its record has. Each has a lock of its
-- own, `slot:<slot>:<job>`, and its run stands in `runs:<job>`: a hash of slots to GRANTs, until the run has ended.

local function slotKey(jobId, slot)
  return base .. KEY_SLOT .. slot .. ':' .. jobId
end

local function runsKey(jobId)
  return base .. KEY_RUNS .. jobId
end

-- A replica's word for a run in a slot.
local function writeSlot(word, slot)
  local name, version, others = match(word, '^([^;]*)(;v=%d+)(.*)$')
  return name .. version .. ';s=' .. slot .. others
end

-- The lock of a run that holds a slot, or has held it.
local function lockOfSlot(jobId, slot)
  return slot == '1' and base .. KEY_LOCK .. jobId or slotKey(jobId, slot)
end

-- The slot of a run, where the caller does not know it, as it has had no answer.
local function slotOfRun(jobId, runId)
  local runs = redis.call('HGETALL', runsKey(jobId))
  for i = 1, #runs, 2 do
    if match(runs[i + 1], '^%S+') == runId then return runs[i] end
  end
  return '1'
end

-- The run in a slot; false for none.
local function runInSlot(jobId, slot)
  return redis.call('HGET', runsKey(jobId), slot)
end
