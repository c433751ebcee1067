-- The rows of a correction, each with the cells of the row that it corrects where it has none of its own.
--
-- A cell that is null stands for the cell of the original row. A row that names no row that was set aside, or
-- the same as another one, is a problem of the row as a whole.
--
-- Reads: returned (the rows as they came back, the number that they name in `names_row`), set_aside (the
-- invalid rows of the upload). Order: by source_row.
SELECT
    returned.source_row,
    coalesce(returned.employee_id, set_aside.employee_id) AS employee_id,
    coalesce(returned.employee_name, set_aside.employee_name) AS employee_name,
    coalesce(returned.college_degree, set_aside.college_degree) AS college_degree,
    coalesce(returned.department, set_aside.department) AS department,
    coalesce(returned.job_role, set_aside.job_role) AS job_role,
    coalesce(returned.dmc_campus, set_aside.dmc_campus) AS dmc_campus,
    coalesce(returned.email, set_aside.email) AS email,
    coalesce(returned.phone_number, set_aside.phone_number) AS phone_number,
    coalesce(returned.performance_rating, set_aside.performance_rating) AS performance_rating,
    coalesce(returned.submission_date, set_aside.submission_date) AS submission_date,
    returned.other_columns,
    CASE
        WHEN returned.reading_problem IS NOT NULL THEN returned.reading_problem
        WHEN set_aside.source_row IS NULL THEN 'no_such_row'
        WHEN count(*) OVER (PARTITION BY returned.names_row) > 1 THEN 'doubled_row'
    END AS reading_problem,
    set_aside.source_row AS corrects_row
FROM returned
LEFT JOIN set_aside ON set_aside.source_row = returned.names_row
ORDER BY returned.source_row
