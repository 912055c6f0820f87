-- What became of ticks: of runs in `history:<job>`, a stream of JSON, of ticks without a run in `ticks:<job>`, a sorted set of
-- ranges by their first tick: `first last next count reason by at`, with the tick after the last, or NOBODY.
--
-- Nothing that a run needs may fail as its history cannot be kept: the first error is kept instead.

local historyError

local function tryHistory(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  historyError = historyError or select(1, ...) .. ': ' .. reply.err
end

-- Keeps what became of a run. Where the entry begins with `!`, those that are too old are left out as well, and it is told anew how
-- long the others are kept.
local function keepRun(jobId, entry, bound, retention)
  local key = base .. KEY_HISTORY .. jobId
  local isSweep = sub(entry, 1, 1) == '!'
  if isSweep then entry = sub(entry, 2) end
  if not tryHistory('XADD', key, 'MAXLEN', '=', bound, '*', 'e', entry) or not isSweep then return end
  tryHistory('XTRIM', key, 'MINID', '=', format('%.0f', now - retention))
  tryHistory('PEXPIRE', key, format('%.0f', retention + KEEP_LONGER))
end
