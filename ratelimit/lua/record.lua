-- Part: a job's hash. Its fields have one letter and its grants are packed so
-- that the hash stays a listpack: a week of jobs is kept.
--
--   d digest   s sender   k customer   a latest attempt seen   c cancel flag
--   q priority|attempt|needs a place|pool     marked as waiting
--   l sequence under which it lies in the waiting room
--   o attempt|outcome|reason      an end decided here that the log has not told yet
--   x attempt|status              the end that the log told
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
  attempt = attempt or tonumber(call('HGET', hash, 'a') or '1')
  local n = us(attempt)
  local f = call('HMGET', hash, 'd', 's', 'k', 'a', 'c', 'q', 'l', 'o', 'x', 'g' .. n, 'w' .. n, 'i' .. n)
  local job = {
    hash = hash, attempt = attempt, digest = set(f[1]), sender = set(f[2]), customer = set(f[3]),
    latest = tonumber(f[4] or '0'), canceled = f[5] == '1', mark = set(f[6]), lies = set(f[7]),
    grant = unpack_grant(f[10], f[11], f[12]), decided_for = 0, ended_with = 0,
  }
  job.known = job.digest ~= nil
  if f[8] then
    local decided_for
    decided_for, job.outcome, job.reason = string.match(f[8], '^(%d+)|([^|]*)|(.*)$')
    job.decided_for = tonumber(decided_for)
  end
  if f[9] then
    local ended_with
    ended_with, job.status = string.match(f[9], '^(%d+)|(.*)$')
    job.ended_with = tonumber(ended_with)
  end
  return job
end

-- Reads a job with its customer as that counts now.
local function recall(hash, attempt)
  local job = read(hash, attempt)
  if job.customer then
    job.customer = canonical(job.customer)
  end
  return job
end

-- Writes who the job is, and the grant of the attempt if it has one. An attempt
-- above the one that the job ended with is a new life: the end is forgotten, and
-- the job no longer expires.
local function save(job)
  local grant, n = job.grant, us(job.attempt)
  local fields = { 'd', job.digest, 's', job.sender, 'k', job.customer, 'a', us(math.max(job.latest, job.attempt)) }
  if grant then
    fields[9], fields[10] = 'g' .. n, string.format('%s|%.0f|%.0f|%s|%s|%s', grant.state, grant.given,
      grant.at - grant.given, grant.counted and '1' or '0', grant.token, grant.pool)
    fields[11], fields[12] = 'w' .. n, ''
    if grant.score then
      fields[12] = us(grant.score) .. '|' .. (grant.sender_back and us(grant.score - grant.sender_back) or '')
        .. '|' .. (grant.pool_back and us(grant.score - grant.pool_back) or '')
    end
  end
  call('HSET', job.hash, unpack(fields))
  if not job.known or job.attempt <= job.ended_with or job.attempt <= job.decided_for then
    return
  end
  if job.status or job.outcome then
    call('HDEL', job.hash, 'o', 'x')
  end
  call('PERSIST', job.hash)
end

-- Gives a reservation that nobody took over back, and forgets it.
local function drop_reservation(job)
  if not job.grant or job.grant.state ~= 'r' then
    return
  end
  give_back(job, job.grant)
  local n = us(job.attempt)
  call('HDEL', job.hash, 'g' .. n, 'w' .. n)
  job.grant = nil
end
