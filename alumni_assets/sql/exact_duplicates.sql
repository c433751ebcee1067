-- Which rows of one upload repeat an earlier row of it, in every column of the survey?
--
-- Two rows are equal when all ten columns are, a missing value being equal to a missing value; of equal
-- rows the one with the lowest source_row stays, and the others are the answer. Equal rows share their
-- employee_id, so only the few rows whose employee_id occurs more than once are compared.
--
-- Reads: transformed (the rows of one upload). Order: by source_row.
SELECT source_row
FROM (
    SELECT
        source_row,
        row_number() OVER (
            PARTITION BY
                employee_id,
                employee_name,
                college_degree,
                department,
                job_role,
                dmc_campus,
                email,
                phone_number,
                performance_rating,
                submission_date
            ORDER BY source_row
        ) AS place
    FROM transformed
    WHERE employee_id IN (
        SELECT employee_id
        FROM transformed
        GROUP BY employee_id
        HAVING count(*) > 1
    )
) AS compared
WHERE place > 1
ORDER BY source_row
