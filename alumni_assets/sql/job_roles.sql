-- What are the top job roles?
--
-- alumni: how many hold the role; alumni_share: the same as a share of all alumni, from 0 to 1.
--
-- Reads: alumni. Order: most alumni first, then by role.
SELECT
    job_role,
    count(*) AS alumni,
    CAST(count(*) AS double) / sum(count(*)) OVER () AS alumni_share
FROM alumni
GROUP BY job_role
ORDER BY alumni DESC, job_role
