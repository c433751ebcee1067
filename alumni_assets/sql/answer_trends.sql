-- How do the answers change from month to month, or from batch to batch?
--
-- Within a period each alumnus counts once, with the newest answer given in it. dimension: the survey's column that
-- the groups are of, or overall; alumni: how many answered; excellent: how many of them are rated 5; mean_rating and
-- sd_rating: mean and sample standard deviation of their ratings, the same in whatever order the rows are read.
--
-- Reads: survey_responses, trend_periods. Order: by dimension and group, the oldest period first.
SELECT
    kind,
    period,
    begins,
    CASE
        WHEN college_degree IS NOT NULL THEN 'college_degree'
        WHEN dmc_campus IS NOT NULL THEN 'dmc_campus'
        WHEN department IS NOT NULL THEN 'department'
        WHEN job_role IS NOT NULL THEN 'job_role'
        ELSE 'overall'
    END AS dimension,
    coalesce(college_degree, dmc_campus, department, job_role) AS group_name,
    count(*) AS alumni,
    count(CASE WHEN performance_rating = 5 THEN 1 END) AS excellent,
    avg(CAST(performance_rating AS double)) AS mean_rating,
    CASE
        WHEN count(*) > 1 THEN sqrt(
            CAST(
                count(*) * sum(CAST(performance_rating AS bigint) * CAST(performance_rating AS bigint))
                - sum(CAST(performance_rating AS bigint)) * sum(CAST(performance_rating AS bigint)) AS double
            ) / CAST(count(*) * (count(*) - 1) AS double)
        )
    END AS sd_rating
FROM (
    SELECT
        trend_periods.kind,
        trend_periods.period,
        trend_periods.begins,
        survey_responses.college_degree,
        survey_responses.dmc_campus,
        survey_responses.department,
        survey_responses.job_role,
        survey_responses.performance_rating,
        row_number() OVER (
            PARTITION BY trend_periods.period, survey_responses.employee_id
            ORDER BY
                survey_responses.submission_date DESC NULLS LAST,
                survey_responses.received_at DESC,
                survey_responses.upload DESC,
                survey_responses.source_row DESC
        ) AS place
    FROM survey_responses
    JOIN trend_periods ON trend_periods.period = CASE
        WHEN trend_periods.kind = 'batch' THEN survey_responses.upload
        ELSE substr(CAST(date_trunc('month', survey_responses.submission_date) AS varchar(30)), 1, 7)
    END
) AS answered
WHERE place = 1
GROUP BY GROUPING SETS (
    (kind, period, begins),
    (kind, period, begins, college_degree),
    (kind, period, begins, dmc_campus),
    (kind, period, begins, department),
    (kind, period, begins, job_role)
)
ORDER BY dimension, group_name, begins, period
