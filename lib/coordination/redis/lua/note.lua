-- Notes what became of ticks beside the ends of runs. A repeated call does nothing.
--
-- KEYS  fence, the replica's last reply to a note
-- ARGV  the call's id; how many runs the history keeps of a job, and for how long; then each of
--       `t first last next count reason by at jobId`: ticks without a run, as in history.lua;
--       `r report jobId`, a line break and an entry, or nothing: a run without a lock, see status.lua and history.lua;
--       `c report jobId`, the same: the outcome of a run with a lock is not what was told at its end
-- Reply an empty string, or why the history could not be kept

--- @include "strings"
--- @include "repeated-call"
local callId, replyKey, bound, retention = ARGV[1], KEYS[2], ARGV[2], tonumber(ARGV[3])
local before = replyBefore(replyKey, callId)
if before then return before end

--- @include "clock"
--- @include "keys"
--- @include "text-at"
--- @include "record"
--- @include "status"
--- @include "history"

local nowText = format('%.0f', now)

local function readRange(member)
  return match(member, '^(%-?%d+) (%-?%d+) (%S+) (%d+) (%S+)')
end

-- The range that begins nearest to a time, up to it, or from it on where that comes later.
local function rangeNear(key, time, isBefore)
  local found
  if isBefore then
    found = tryHistory('ZRANGE', key, time, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1)
  else
    found = tryHistory('ZRANGE', key, '(' .. time, '+inf', 'BYSCORE', 'LIMIT', 0, 1)
  end
  return found and found[1]
end

-- Leaves out ranges that are too old, and the first where there are too many: two at most, as one comes at a time.
local function sweepRanges(key, isOver)
  for i, member in ipairs(tryHistory('ZRANGE', key, 0, 1) or {}) do
    local _, last = readRange(member)
    if tonumber(last) < now - retention or (isOver and i == 1) then redis.call('ZREM', key, member) end
  end
end

-- Keeps ticks without a run: those that follow upon others with the same reason are one range with them.
local function keepTicks(jobId, first, last, following, count, reason, rest)
  local key = base .. KEY_TICKS .. jobId
  local member = rangeNear(key, first, true)
  if member then
    local itsFirst, itsLast, itsNext, itsCount, itsReason = readRange(member)
    -- It was told before.
    if tonumber(itsLast) >= tonumber(last) then return end
    if itsNext == first and itsReason == reason then
      redis.call('ZREM', key, member)
      first, count = itsFirst, itsCount + count
    end
  end
  member = rangeNear(key, last, false)
  if member then
    local itsFirst, itsLast, itsNext, itsCount, itsReason = readRange(member)
    if itsFirst == following and itsReason == reason then
      redis.call('ZREM', key, member)
      last, following, count = itsLast, itsNext, itsCount + count
    end
  end
  local range = first .. ' ' .. last .. ' ' .. following .. ' ' .. format('%.0f', count) .. ' ' .. reason .. ' ' .. rest
  if not tryHistory('ZADD', key, first, range) then return end
  local isOver = #(tryHistory('ZRANGE', key, MAX_RANGES, MAX_RANGES) or {}) > 0
  sweepRanges(key, isOver)
  tryHistory('PEXPIRE', key, format('%.0f', retention + KEEP_LONGER))
end

local function noteUnlocked(jobId, report)
  local key = base .. KEY_UNLOCKED
  tryHistory('HSET', key, jobId, withStatus(tryHistory('HGET', key, jobId) or '', report, nowText))
end

local function correct(jobId, report)
  local claimKey = base .. KEY_CLAIM .. jobId
  local tick, previous, claimedBy, ended, grant, fingerprint = readRecord(textAt(claimKey))
  if not tick then return end
  fingerprint = withStatus(fingerprint, report, nowText)
  redis.call('SET', claimKey, writeRecord(tick, previous, claimedBy, ended, grant, fingerprint), 'KEEPTTL')
end

for i = 4, #ARGV do
  local kind, report, jobId, entry = match(ARGV[i], '^([rc]) (%S+) ([^\n]+)\n(.*)$')
  if kind then
    if kind == 'r' then noteUnlocked(jobId, report) else correct(jobId, report) end
    if entry ~= '' then keepRun(jobId, entry, bound, retention) end
  else
    local first, last, following, count, reason, rest
    first, last, following, count, reason, rest, jobId =
      match(ARGV[i], '^t (%-?%d+) (%-?%d+) (%S+) (%d+) (%S+) (%S+ %d+) (.+)$')
    keepTicks(jobId, first, last, following, tonumber(count), reason, rest)
  end
end
local text = historyError or ''
rememberReply(replyKey, callId, text)
return text
