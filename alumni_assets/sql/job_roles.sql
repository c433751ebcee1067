-- What are the top job roles?
--
-- alumni: how many hold the role.
--
-- Reads: alumni. Order: most alumni first, then by role.
SELECT
    job_role,
    count(*) AS alumni
FROM alumni
GROUP BY job_role
ORDER BY alumni DESC, job_role
