-- Who are the top 100 employees of each department?
--
-- rank: 1 to 100 within the department, each given once (fewer where the department has fewer alumni).
-- The better rating comes first. Ratings are whole numbers from 1 to 5, so many are equal: among equals
-- the order is by name, then by employee_id, and the list stops at 100 even if the next has the same rating.
--
-- Reads: alumni. Order: by department, then by rank.
SELECT
    department,
    rank,
    employee_id,
    employee_name,
    job_role,
    college_degree,
    email,
    phone_number,
    dmc_campus,
    performance_rating
FROM (
    SELECT
        department,
        CAST(
            row_number() OVER (
                PARTITION BY department
                ORDER BY performance_rating DESC, employee_name, employee_id
            ) AS bigint
        ) AS rank,
        employee_id,
        employee_name,
        job_role,
        college_degree,
        email,
        phone_number,
        dmc_campus,
        performance_rating
    FROM alumni
) AS ranked
WHERE rank <= 100
ORDER BY department, rank
