-- What did each alumnus answer, and from when until when?
--
-- A period begins with a submission that differs from the one before it in any answer; submissions that say the same
-- as the one before belong to its period. The order of an alumnus' submissions is that of the deduplication, so the
-- last period is the alumnus' row in `alumni`, and bears its upload and source row. A period begins at the date of
-- its first submission, or where that has none when its upload was received; it never begins later than the next.
-- It ends where the next one begins; the last one has no end.
--
-- Reads: survey_responses, arrivals (received_at, and received_on: the same in the survey's time zone).
-- Order: none.
SELECT
    employee_id,
    CAST(row_number() OVER (PARTITION BY employee_id ORDER BY period_number) AS bigint) AS period,
    valid_from,
    lead(valid_from) OVER (PARTITION BY employee_id ORDER BY period_number) AS valid_to,
    lead(valid_from) OVER (PARTITION BY employee_id ORDER BY period_number) IS NULL AS is_current,
    employee_name,
    college_degree,
    department,
    job_role,
    dmc_campus,
    email,
    phone_number,
    performance_rating,
    submissions,
    upload,
    source_row,
    corrected_by
FROM (
    SELECT
        employee_id,
        period_number,
        min(begins_at) OVER (PARTITION BY employee_id, period_number) AS valid_from,
        count(*) OVER (PARTITION BY employee_id, period_number) AS submissions,
        employee_name,
        college_degree,
        department,
        job_role,
        dmc_campus,
        email,
        phone_number,
        performance_rating,
        upload,
        source_row,
        corrected_by,
        row_number() OVER (PARTITION BY employee_id, period_number ORDER BY place DESC) AS from_the_last
    FROM (
        SELECT
            numbered.*,
            sum(CASE WHEN says_the_same THEN 0 ELSE 1 END) OVER (
                PARTITION BY employee_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS period_number,
            min(dated_at) OVER (
                PARTITION BY employee_id ORDER BY place ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            ) AS begins_at
        FROM (
            SELECT
                ordered.*,
                place > 1
                AND employee_name = lag(employee_name) OVER (PARTITION BY employee_id ORDER BY place)
                AND college_degree = lag(college_degree) OVER (PARTITION BY employee_id ORDER BY place)
                AND department = lag(department) OVER (PARTITION BY employee_id ORDER BY place)
                AND job_role = lag(job_role) OVER (PARTITION BY employee_id ORDER BY place)
                AND dmc_campus = lag(dmc_campus) OVER (PARTITION BY employee_id ORDER BY place)
                AND email = lag(email) OVER (PARTITION BY employee_id ORDER BY place)
                AND phone_number = lag(phone_number) OVER (PARTITION BY employee_id ORDER BY place)
                AND performance_rating = lag(performance_rating) OVER (PARTITION BY employee_id ORDER BY place)
                AS says_the_same
            FROM (
                SELECT
                    survey_responses.employee_id,
                    survey_responses.employee_name,
                    survey_responses.college_degree,
                    survey_responses.department,
                    survey_responses.job_role,
                    survey_responses.dmc_campus,
                    survey_responses.email,
                    survey_responses.phone_number,
                    survey_responses.performance_rating,
                    survey_responses.upload,
                    survey_responses.source_row,
                    survey_responses.corrected_by,
                    coalesce(survey_responses.submission_date, arrivals.received_on) AS dated_at,
                    row_number() OVER (
                        PARTITION BY survey_responses.employee_id
                        ORDER BY
                            survey_responses.submission_date ASC NULLS FIRST,
                            survey_responses.received_at ASC,
                            survey_responses.upload ASC,
                            survey_responses.source_row ASC
                    ) AS place
                FROM survey_responses
                JOIN arrivals ON arrivals.received_at = survey_responses.received_at
            ) AS ordered
        ) AS numbered
    ) AS periods
) AS collapsed
WHERE from_the_last = 1
