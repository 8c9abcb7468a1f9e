-- Part: a job's hash. Its fields have one letter and its grants are packed so
-- that the hash stays a listpack: a week of jobs is kept.
--
--   d digest   s sender   k customer   a latest attempt seen   c cancel flag
--   q priority|attempt|needs a place|pool     marked as waiting
--   l sequence under which it lies in the waiting room
--   o attempt|outcome|reason      an end decided here that the log has not told yet
--   x attempt|status              the end that the log told
--   u until when a copy of it may lie somewhere, for a time to come
-- and for attempt n:
--   gn state|given|delay|counted|token|pool   the grant; send at given + delay
--   wn score|back|back                        its place, and how far below its score
--                                             the sender's and the pool's stood before
--   in SID
--
-- States of a grant: r reserved (no token yet), g granted, d delivered,
-- b given back.

local function unpack_grant(packed, place, sid)
  if not packed then
    return nil
  end
  local state, given, delay, counted, token, pool =
    string.match(packed, '^(%a)|(%d+)|(%d+)|(%d)|([^|]*)|(.*)$')
  local grant = {
    state = state, given = tonumber(given), counted = counted == '1',
    token = token, pool = pool, sid = set(sid),
  }
  grant.at = grant.given + tonumber(delay)
  if set(place) then
    local score, sender_back, pool_back = string.match(place, '^(%d+)|(%d*)|(%d*)$')
    grant.score = tonumber(score)
    grant.sender_back = set(sender_back) and grant.score - tonumber(sender_back)
    grant.pool_back = set(pool_back) and grant.score - tonumber(pool_back)
  end
  return grant
end

-- Reads a job and the grant of one attempt; without an attempt, the latest.
local function read(hash, attempt)
  if call('EXISTS', hash) == 0 then -- as most are that are asked about: a microsecond less, with room for what is set later
    return {
      hash = hash, attempt = attempt or 1, n = us(attempt or 1), latest = 0, decided_for = 0, ended_with = 0,
      digest = nil, sender = nil, customer = nil, grant = nil,
    }
  end
  attempt = attempt or tonumber(call('HGET', hash, 'a') or '1')
  local n = us(attempt)
  local f = call('HMGET', hash, 'd', 's', 'k', 'a', 'c', 'q', 'l', 'o', 'x', 'g' .. n, 'w' .. n, 'i' .. n)
  local decided_for, outcome, reason, ended_with, status
  if f[8] then
    decided_for, outcome, reason = string.match(f[8], '^(%d+)|([^|]*)|(.*)$')
  end
  if f[9] then
    ended_with, status = string.match(f[9], '^(%d+)|(.*)$')
  end
  return {
    hash = hash, attempt = attempt, n = n, digest = f[1] or nil, sender = f[2] or nil, customer = f[3] or nil,
    known = f[1], latest = tonumber(f[4] or 0), canceled = f[5], mark = f[6] or nil, lies = f[7] or nil,
    decided_for = tonumber(decided_for or 0), outcome = outcome, reason = reason,
    ended_with = tonumber(ended_with or 0), status = status,
    grant = f[10] and unpack_grant(f[10], f[11], f[12]) or nil,
  }
end

-- Writes who the job is, and the grant of the attempt if it has one. An attempt
-- above the one that the job ended with is a new life: the end is forgotten, and
-- the job no longer expires.
local function save(job)
  local grant, latest = job.grant, math.max(job.latest, job.attempt)
  if not grant then
    call('HSET', job.hash, 'd', job.digest, 's', job.sender, 'k', job.customer, 'a', latest)
  else
    local place, score = '', grant.score
    if score then
      place = string.format('%d|%s|%s', score, grant.sender_back and us(score - grant.sender_back) or '',
        grant.pool_back and us(score - grant.pool_back) or '')
    end
    call('HSET', job.hash, 'd', job.digest, 's', job.sender, 'k', job.customer, 'a', latest,
      'g' .. job.n, string.format('%s|%d|%d|%s|%s|%s', grant.state, grant.given, grant.at - grant.given,
        grant.counted and '1' or '0', grant.token, grant.pool),
      'w' .. job.n, place)
  end
  if not job.known or job.attempt <= job.ended_with or job.attempt <= job.decided_for then
    return
  end
  if job.status or job.outcome then
    call('HDEL', job.hash, 'o', 'x')
  end
  call('PERSIST', job.hash)
end
