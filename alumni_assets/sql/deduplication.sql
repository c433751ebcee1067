-- One row for each employee_id: the newest answer of each alumnus.
--
-- The newest submission_date wins; a missing one counts as the oldest. Between equal dates the upload
-- that was received later wins, then the greater upload id, then the later row of the upload. No two
-- rows share upload and source_row, so there is exactly one winner, in whatever order the rows are stored.
--
-- Reads: survey_responses. Order: none.
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
        corrected_by,
        row_number() OVER (
            PARTITION BY employee_id
            ORDER BY submission_date DESC NULLS LAST, received_at DESC, upload DESC, source_row DESC
        ) AS place
    FROM survey_responses
) AS answers
WHERE place = 1
