-- How many alumni changed their job role or department, from what to what?
--
-- kind: job_role or department; moves: how often alumni went from moved_from to moved_to, from one of their periods
-- to the next; alumni: how many did. Who has answered only once, or always the same, is not in it.
--
-- Reads: alumni_history. Order: job roles first, then the most frequent move.
SELECT
    kind,
    moved_from,
    moved_to,
    count(*) AS moves,
    count(DISTINCT employee_id) AS alumni
FROM (
    SELECT
        employee_id,
        'job_role' AS kind,
        lag(job_role) OVER (PARTITION BY employee_id ORDER BY period) AS moved_from,
        job_role AS moved_to
    FROM alumni_history
    WHERE employee_id IN (SELECT employee_id FROM alumni_history WHERE NOT is_current)
    UNION ALL
    SELECT
        employee_id,
        'department' AS kind,
        lag(department) OVER (PARTITION BY employee_id ORDER BY period) AS moved_from,
        department AS moved_to
    FROM alumni_history
    WHERE employee_id IN (SELECT employee_id FROM alumni_history WHERE NOT is_current)
) AS steps
WHERE moved_from <> moved_to
GROUP BY kind, moved_from, moved_to
ORDER BY kind DESC, moves DESC, moved_from, moved_to
