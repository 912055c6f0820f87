-- Says what is known of a job's ticks, all of one moment.
--
-- KEYS  fence
-- ARGV  the job's id, how many of its runs the history keeps
-- Reply the entries of runs and the ranges of ticks, as in history.lua, the newest first; the job's record, or an empty
--       string; since when the fleet has had it, as in since-note.lua, or an empty string; what stands in `open` of its
--       runs; of each of these runs what it has said of its progress, or an empty string; the tick that waits for a slot,
--       or an empty string; Redis' time. Why the history cannot be read, in place of all that

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "text-at"
--- @include "record"
--- @include "slots"
--- @include "queue"
--- @include "history"

local jobId, bound = ARGV[1], tonumber(ARGV[2])
local kept, runs = tryHistory('XRANGE', base .. KEY_HISTORY .. jobId, '-', '+'), {}
if historyError then return { historyError } end
for i = #kept, math.max(1, #kept - bound + 1), -1 do runs[#runs + 1] = kept[i][2][2] end
local ticks = redis.call('ZRANGE', base .. KEY_TICKS .. jobId, 0, -1, 'REV')
local open, progress = {}, {}
for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
  local runId, itsJob = readMember(member)
  if itsJob == jobId then
    open[#open + 1] = member
    progress[#progress + 1] = redis.call('HGET', base .. KEY_PROGRESS, runId) or ''
  end
end
local _, waiting = waitingTick(jobId)
return {
  runs, ticks, textAt(base .. KEY_CLAIM .. jobId), textAt(base .. KEY_SINCE .. jobId), open, progress, waiting or '', now
}
