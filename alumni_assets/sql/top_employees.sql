-- Who are the top 100 employees of each department?
--
-- rank: 1 to 100 within the department, each given once (fewer where the department has fewer alumni).
-- The better rating comes first. Ratings are whole numbers from 1 to 5, so many are equal: among equals
-- the order is by name, then by employee_id, and the list stops at 100 even if the next has the same rating.
-- Only those are put in order whose rating and first letters come before the hundredth: counting is cheaper.
--
-- Reads: alumni. Order: by department, then by rank.
SELECT
    ranked.department,
    ranked.rank,
    alumni.employee_id,
    alumni.employee_name,
    alumni.job_role,
    alumni.college_degree,
    alumni.email,
    alumni.phone_number,
    alumni.dmc_campus,
    alumni.performance_rating
FROM (
    SELECT
        candidates.department,
        candidates.employee_id,
        CAST(
            row_number() OVER (
                PARTITION BY candidates.department
                ORDER BY candidates.performance_rating DESC, candidates.employee_name, candidates.employee_id
            ) AS bigint
        ) AS rank
    FROM alumni AS candidates
    JOIN (
        SELECT
            department,
            performance_rating,
            initials,
            sum(alumni) OVER (
                PARTITION BY department
                ORDER BY performance_rating DESC, initials
                ROWS UNBOUNDED PRECEDING
            ) - alumni AS before
        FROM (
            SELECT
                department,
                performance_rating,
                substr(employee_name, 1, 3) AS initials,
                count(*) AS alumni
            FROM alumni
            GROUP BY department, performance_rating, substr(employee_name, 1, 3)
        ) AS counted
    ) AS beginnings
        ON beginnings.department = candidates.department
        AND beginnings.performance_rating = candidates.performance_rating
        AND beginnings.initials = substr(candidates.employee_name, 1, 3)
    WHERE beginnings.before < 100
) AS ranked
JOIN alumni ON alumni.employee_id = ranked.employee_id
WHERE ranked.rank <= 100
ORDER BY ranked.department, ranked.rank
