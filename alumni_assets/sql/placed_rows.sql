-- Of the rows that several corrections gave in one place of an upload, which one counts? The last correction's.
--
-- Reads: transformed (all rows of the uploads that count), corrections (correction; place: the order in which they
-- came, from 1). Order: none.
SELECT
    employee_id,
    employee_name,
    college_degree,
    department,
    job_role,
    dmc_campus,
    email,
    phone_number,
    performance_rating,
    submission_date,
    upload,
    source_row,
    received_at,
    corrected_by
FROM (
    SELECT
        transformed.*,
        row_number() OVER (
            PARTITION BY transformed.upload, transformed.source_row
            ORDER BY coalesce(corrections.place, 0) DESC
        ) AS from_the_last
    FROM transformed
    LEFT JOIN corrections ON corrections.correction = transformed.corrected_by
) AS placed
WHERE from_the_last = 1
